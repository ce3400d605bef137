// ServiceProgram: what every executable does the same way.
//
//   settings -> logging and metrics -> the service's own closure -> one start line -> its services, until a signal -> stop
//
// Exit codes: 0 stopped as asked (or --help, --version) · 64 settings are wrong · 69 it could not start (a volume that is not
// there, an address in use) · 70 it failed while running, or did not stop in time. Anything but 0 comes with one line on
// standard error that says why. A signal during the start ends it as well. SIGPIPE is ignored: a peer that closes its
// socket is an error of one call, not the end of the process. How it stops: StopSequence.swift.
import Foundation
import Logging
import Metrics
import RPC
import ServiceLifecycle

// So that a service can return its server among its services; ServiceProgram runs it with its graceful stop.
extension RPCServer: Service {}

/// An executable of Sightglass.
public struct ServiceProgram: Sendable {
    /// Version of all executables.
    public static let version = "0.1.0"

    /// How a process ends.
    public enum ExitCode {
        /// Stopped as asked.
        public static let success: Int32 = 0
        /// Settings are wrong; starting again with the same ones cannot work.
        public static let settings: Int32 = 64
        /// It could not start; the cause lies outside and may pass.
        public static let unavailable: Int32 = 69
        /// It failed while running, or did not stop in time.
        public static let failure: Int32 = 70
    }

    /// Makes a service's loops and servers. The group stops them in reverse order, so put the server first.
    public typealias Start = @Sendable (ServiceRuntime) async throws -> [any Service]

    let role: String
    let callers: [String]
    let summary: String
    let settings: [any AnySetting]
    let environment: Environment

    /// Turns variables of another product into those of a service.
    public typealias Environment = @Sendable ([String: String]) throws(SettingsError) -> [String: String]

    /// - Parameters:
    ///   - role: "indexer"; names sockets, log lines and the neighbour settings of others.
    ///   - callers: the roles that its contract lets call, `IndexerMethods.callerRoles`: over TLS it trusts their
    ///     authorities and those that Health names. None: it answers Health only.
    ///   - summary: one sentence for --help.
    ///   - settings: the service's own; the common ones are added.
    ///   - environment: gives the variables that count.
    public init(
        role: String, callers: [String] = [], summary: String, settings: [any AnySetting],
        environment: @escaping Environment = { variables throws(SettingsError) in variables }
    ) {
        self.role = role
        self.callers = callers
        self.summary = summary
        self.settings = settings
        self.environment = environment
    }

    /// Runs the service and ends the process.
    public func run(_ start: @escaping Start) async -> Never {
        // Ignoring is a property of the process; libraries that write to closed sockets get EPIPE instead.
        signal(SIGPIPE, SIG_IGN)
        let environment = ProcessInfo.processInfo.environment
        switch prepare(arguments: Array(CommandLine.arguments.dropFirst()), environment: environment) {
        case .print(let text):
            print(text, terminator: "")
            exit(ExitCode.success)
        case .refuse(let line):
            StandardErrorLog.writeToStandardError(line)
            exit(ExitCode.settings)
        case .run(let settings, let warnings):
            let runtime = bootstrap(settings)
            for warning in warnings { runtime.logger.warning("\(warning)") }
            exit(await StopSequence(runtime: runtime).run(start))
        }
    }

    /// What the command line asks for.
    enum Preparation: Sendable {
        case print(String)
        case refuse(String)
        case run(Settings, warnings: [String])
    }

    /// Everything before the first effect.
    func prepare(arguments: [String], environment: [String: String]) -> Preparation {
        do throws(SettingsError) {
            let schema = try SettingsSchema(settings + CommonSettings.all(role: role))
            switch try schema.resolve(
                arguments: arguments, environment: try self.environment(environment), readFile: Self.readFile)
            {
            case .help: return .print(SettingsHelp.page(role: role, summary: summary, schema: schema))
            case .version: return .print("\(role) \(Self.version)\n")
            case .settings(let values, let warnings): return .run(values, warnings: warnings)
            }
        } catch {
            return .refuse("\(role): \(Self.oneLine(error.description))\n")
        }
    }

    static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private func bootstrap(_ settings: Settings) -> ServiceRuntime {
        let level = Logger.Level(rawValue: settings[CommonSettings.logLevel]) ?? .info
        let format = LogFormat(rawValue: settings[CommonSettings.logFormat]) ?? .text
        let instance = Addresses(role: role, settings: settings).instance
        // "capture-controller-1" says the role already; "cc-1" does not.
        let service = instance.hasPrefix(role) ? instance : "\(role)/\(instance)"
        LoggingSystem.bootstrap { StandardErrorLog(label: $0, service: service, level: level, format: format) }
        let metrics = MetricsStore()
        MetricsSystem.bootstrap(metrics)
        return ServiceRuntime(
            role: role, callers: callers, settings: settings, logger: Logger(label: role), metrics: metrics)
    }

    private struct Unreadable: Error, CustomStringConvertible { let description: String }

    private static func readFile(_ path: String) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw Unreadable(description: errorText(errno))
        }
        let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        guard let data = try? handle.read(upToCount: SettingsSchema.maximumFileBytes + 1) else {
            // Nothing at all: an empty file, or a folder.
            var status = stat()
            guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                throw Unreadable(description: "it is not a file")
            }
            return ""
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw Unreadable(description: "it is not text in UTF-8")
        }
        return text
    }
}

/// What the kernel's error number means, in its words.
func errorText(_ code: Int32) -> String { strerror(code).map { String(cString: $0) } ?? "error \(code)" }
