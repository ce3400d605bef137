// NetworkRange: addresses that a site keeps cameras away from, "169.254.0.0/16". A configuration names cameras by URL, and a URL
// can name any host that this one reaches; the range is looked at after the name was looked up, so no name gets around it.

import Glibc

/// A block of addresses (RFC 4632, RFC 4291 section 2.3).
public struct NetworkRange: Sendable, Hashable, CustomStringConvertible {
    private let prefix: [UInt8]
    private let bits: Int

    /// As it was written.
    public let description: String

    /// "10.0.0.0/8", "fe80::/10", or one address. Nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first,
            case .success(let found) = HostAddress.lookUp(String(first), port: 0, onlyNumeric: true),
            let bytes = found.first?.addressBytes, !first.isEmpty
        else { return nil }
        guard parts.count == 1 || UInt8(parts[1]).map({ Int($0) <= bytes.count * 8 }) == true else { return nil }
        prefix = bytes
        bits = parts.count == 1 ? bytes.count * 8 : Int(parts[1]) ?? 0
        description = text
    }

    /// Whether an address lies in it. An IPv4 address that is written as IPv6 (::ffff:10.0.0.1) counts as IPv4.
    func contains(_ address: HostAddress) -> Bool {
        var bytes = address.addressBytes
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        if prefix.count == 4, bytes.starts(with: mapped) { bytes = Array(bytes.dropFirst(12)) }
        guard bytes.count == prefix.count else { return false }
        return (0..<bits).allSatisfy { bit in
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            return bytes[bit / 8] & mask == prefix[bit / 8] & mask
        }
    }
}
