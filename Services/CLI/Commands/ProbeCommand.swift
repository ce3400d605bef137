// probe: what is wrong with a camera. An address is tried from here, as any player would; of a configured camera its controller
// is asked, because only controllers open cameras of a site, and cameras have few sessions.

import ArgumentParser
import Footage
import Foundation
import JSON
import RTSP
import ServiceKit
import Wire

struct ProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "What is wrong with a camera, and what to do about it.",
        discussion: """
            An address (rtsp, rtsps, http, https) is tried from this machine: name, connection, certificate, user, session, \
            pictures, keyframes, clock. Of a configured camera, by asset or device/endpoint, its capture-controller is asked; \
            with --direct its address is tried from here too, in a session of its own. User and password are files below \
            --secrets-directory, named as in a device; they are never arguments.

            Exit status 0 where nothing is wrong (it may need attention), 1 where something is, 69 where a service is away.
            """)

    @OptionGroup var connections: Connections
    @Argument(help: "An address, an asset, or DEVICE/ENDPOINT.") var camera: String
    @Option(name: .customLong("for"), help: "How long pictures are looked at.")
    var watch = DurationArgument(milliseconds: 10_000)
    @Option(name: .customLong("within"), help: "How long the camera may take to each step.")
    var patience = DurationArgument(milliseconds: 10_000)
    @Option(help: "File with the user's name, below the secrets folder: press4/username.") var usernameRef: String?
    @Option(help: "File with the password, below the secrets folder: press4/password.") var passwordRef: String?
    @Option(help: "Certificates (PEM) that are trusted for rtsps and https, a file or folder below the secrets folder.")
    var trust: String?
    @Option(help: "Folder of the files that hold credentials.")
    var secretsDirectory: String =
        ProcessInfo.processInfo.environment["SIGHTGLASS_SECRETS_DIRECTORY"] ?? "/etc/sightglass/secrets"
    @Flag(help: "Try the address of a configured camera from here too.") var direct = false
    @Flag(help: "Print JSON.") var json = false

    private var isAddress: Bool { camera.contains("://") }

    func validate() throws {
        if passwordRef != nil, usernameRef == nil { throw ValidationError("--password-ref goes with --username-ref.") }
        guard isAddress else {
            if !direct, usernameRef != nil || trust != nil {
                throw ValidationError("--username-ref and --trust go with an address; a configured camera has its own.")
            }
            return
        }
        if ProbeAddress.namesUser(camera) {
            throw ValidationError(
                "A user in an address is seen by everybody: leave it out, and name files with --username-ref and --password-ref."
            )
        }
        guard ProbeAddress(camera) != nil else {
            throw ValidationError("\(camera) is no rtsp, rtsps, http or https address with a host.")
        }
        if direct {
            throw ValidationError("--direct goes with a configured camera; an address is always tried from here.")
        }
    }

    func run() async throws {
        try await reporting {
            var parts: [(name: String, checks: CheckList)] = []
            if isAddress {
                parts.append((camera, try await tryAddress(camera, usernameRef, passwordRef, trust)))
            } else {
                parts = try await configured()
            }
            if json {
                print(
                    JSONValue.array(
                        parts.map { .object([.init(key: "camera", value: .string($0.name))] + $0.checks.json) }
                    ).text(.indented))
            } else {
                print(
                    parts.map { ([$0.name, ""] + $0.checks.lines).joined(separator: "\n") }.joined(separator: "\n\n"))
            }
            if parts.contains(where: { $0.checks.verdict == .wrong }) { throw Status.notAsWished }
        }
    }

    // MARK: From here

    private func tryAddress(
        _ text: String, _ userReference: String?, _ passwordReference: String?, _ trustReference: String?
    ) async throws -> CheckList {
        guard let address = ProbeAddress(text) else {
            throw Failure("\(text): only rtsp, rtsps, http and https can be tried from here")
        }
        let secrets = SecretStore(directory: secretsDirectory)
        let user: RTSPUser?
        var trusted = TLSTrust()
        do {
            user = try userReference.map { reference in
                RTSPUser(
                    name: try secrets.read(reference).revealed,
                    password: try passwordReference.map { try secrets.read($0).revealed } ?? "")
            }
            if let trustReference { trusted.trustedPEM = try secrets.readCertificates(path: trustReference) }
        } catch let error as SecretError {
            throw Failure("\(error)\nName another folder with --secrets-directory (now \(secretsDirectory)).")
        }
        let line = StatusLine()
        defer { line.clear() }
        line.show("trying \(address.hostAndPort), up to \(DurationText.show(us: watch.us)) of pictures")
        let record = try await CameraProbe(
            address: address, user: user, trust: trusted, patience: patience.duration, watch: watch.duration
        ).run()
        return ProbeDiagnosis(address: address, record: record, hasUser: user != nil, patience: patience.duration)
            .checks
    }

    // MARK: By its controller

    private func configured() async throws -> [(name: String, checks: CheckList)] {
        let registry = try connections.client(.assetRegistry)
        let all = try await registry.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
        let leases = try await registry.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
        let cameras: [RequestedCamera]
        do { cameras = try CameraDirectory(all).resolve([camera]) } catch {
            throw Failure(error, connections: connections)
        }
        var parts: [(name: String, checks: CheckList)] = []
        for source in cameras.compactMap(\.source) {
            guard let endpoint = all.endpoints.first(where: { $0.source == source }) else {
                throw Failure(
                    "\(source.text): an asset names it and no device has it; apply the device, see `sightglass get devices`"
                )
            }
            let lease = leases.first { $0.source == source }
            var reply: ListStatusReply?
            if let address = lease?.holderAddress {
                reply = try? await connections.controller(at: address).call(
                    CaptureControllerMethods.listStatus, ListStatusRequest())
            }
            let diagnosis = SourceDiagnosis(
                endpoint: endpoint, streams: all.streams.filter { $0.source == source }, lease: lease,
                status: reply?.sources.first { $0.source == source },
                tasks: reply?.tasks.filter { $0.source == source } ?? [], nowUs: WindowArguments.nowUs())
            parts.append((source.text, diagnosis.checks))
            guard direct else { continue }
            let address = endpoint.address ?? ""
            parts.append(
                (
                    address,
                    try await tryAddress(
                        address, usernameRef ?? endpoint.username?.path, passwordRef ?? endpoint.password?.path,
                        trust ?? endpoint.trustList)
                ))
        }
        return parts
    }
}
