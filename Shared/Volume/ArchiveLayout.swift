// Where a file lies on the archive volume: the layout that existing cloud query tools list.
//
//   {camera}/{YYYY}/{MM}/{DD}/{HH}/segment_{YYYY-MM-DDThh:mm:ssZ}_{camera}.{ext}      footage
//   {camera}/{YYYY}/{MM}/{DD}/{HH}/snapshot_{YYYY-MM-DDThh:mm:ssZ}_{camera}.{ext}     a picture
//   {camera}/{YYYY}/{MM}/{DD}/{HH}/clip_{YYYY-MM-DDThh:mm:ssZ}_{camera}.{ext}         an exact clip: query tools pass it over, since
//                                                                                     its time is in segments too, and it may have gaps
//   …the same name with .json instead of the extension                                its sidecar
//   sightglass.requests/{YYYY}/{MM}/{DD}/{request_id}.json                            the manifest of a request
//
// The folders are the hour (the day, for a manifest) of the start, UTC. Names have the second that the start lies in, so
// two files can want one name: the second gets `_2` before the extension, the third `_3`, and so on. Uniqueness is by
// the name without its extension, because the sidecar shares it. The owner of the catalogue decides which number is free.
import Crypto

/// Paths on an archive volume.
public enum ArchiveLayout {
    /// The most bytes of a camera's name in a path; what the query tools accept.
    public static let maximumCameraBytes = 128
    /// The folder of the manifests. No camera can have this name, because of its dot.
    public static let manifestFolder = "sightglass.requests"

    /// The camera's name in paths, `[A-Za-z0-9_-]{1,128}`.
    ///
    /// Rule: an asset's name of that form stays as it is. In any other, each byte outside it becomes '_', the text is cut
    /// to 119 bytes, and '-' and the first 8 hexadecimal digits of the name's SHA-256 follow: "Tor Süd" becomes
    /// "Tor_S__d-" and 8 digits. So two names that look alike after replacement still get folders of their own.
    public static func camera(forAsset name: String) throws(VolumeError) -> String {
        guard !name.isEmpty else { throw VolumeError(.invalidName, path: "(asset)", "the asset's name is empty") }
        let bytes = Array(name.utf8)
        if bytes.count <= maximumCameraBytes, bytes.allSatisfy(isPlain) { return name }
        let replaced = bytes.prefix(maximumCameraBytes - 9).map { isPlain($0) ? $0 : UInt8(ascii: "_") }
        let digits = Digest.hexadecimal(Array(SHA256.hash(data: bytes).prefix(4)))
        return String(decoding: replaced, as: UTF8.self) + "-" + digits
    }

    /// The path of footage. `number` is 1, or higher where that name is taken.
    /// Kind `.invalidName` for a time outside 1970 to 2100, an odd extension ("json" is the sidecar's) or an empty asset.
    public static func segment(
        asset: String, startUs: Int64, fileExtension: String, number: Int = 1
    ) throws(VolumeError) -> RelativePath {
        try media("segment", asset: asset, startUs, fileExtension, number)
    }

    /// The path of a picture. Parameters and errors as in `segment`.
    public static func snapshot(
        asset: String, timeUs: Int64, fileExtension: String, number: Int = 1
    ) throws(VolumeError) -> RelativePath {
        try media("snapshot", asset: asset, timeUs, fileExtension, number)
    }

    /// The path of an exact clip. Parameters and errors as in `segment`.
    public static func clip(
        asset: String, startUs: Int64, fileExtension: String, number: Int = 1
    ) throws(VolumeError) -> RelativePath {
        try media("clip", asset: asset, startUs, fileExtension, number)
    }

    /// The path of a file's sidecar: the same name with `.json` instead of the extension.
    public static func sidecar(of media: RelativePath) throws(VolumeError) -> RelativePath {
        let name = media.name
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex, !name.hasSuffix(".json") else {
            throw VolumeError(.invalidName, path: media.string, "it is not the path of an archived file")
        }
        return try RelativePath(media.string.dropLast(name[dot...].count) + ".json")
    }

    /// The path of a request's manifest. The day is that of the window's start; the id is `[A-Za-z0-9_.-]`, 1 to 128 bytes,
    /// not beginning with '.'.
    public static func manifest(requestID: String, startUs: Int64) throws(VolumeError) -> RelativePath {
        let isPlainID = requestID.utf8.allSatisfy { isPlain($0) || $0 == UInt8(ascii: ".") }
        guard isPlainID, (1...128).contains(requestID.utf8.count), !requestID.hasPrefix(".") else {
            throw VolumeError(.invalidName, path: "(request id)", "a request id is 1 to 128 of A-Z a-z 0-9 _ . -")
        }
        return try RelativePath("\(manifestFolder)/\(try LayoutRules.time(startUs).dayFolders)/\(requestID).json")
    }

    private static func media(
        _ kind: String, asset: String, _ us: Int64, _ fileExtension: String, _ number: Int
    ) throws(VolumeError) -> RelativePath {
        let camera = try camera(forAsset: asset)
        let start = try LayoutRules.time(us)
        let checked = try LayoutRules.fileExtension(fileExtension)
        guard checked.lowercased() != "json" else {
            throw VolumeError(.invalidName, path: "(extension)", "'json' is the extension of sidecars")
        }
        guard number >= 1 else {
            throw VolumeError(.invalidName, path: camera, "the number of a name starts at 1")
        }
        let suffix = number == 1 ? "" : "_\(number)"
        return try RelativePath(
            "\(camera)/\(start.hourFolders)/\(kind)_\(start.isoSeconds)_\(camera)\(suffix).\(checked)")
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
