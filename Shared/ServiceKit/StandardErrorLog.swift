// StandardErrorLog: the swift-log handler of every service: one redacted line per event to standard error, written with
// one system call so that lines of several threads and of child processes do not mix. The form is LogLine's.
import Glibc
import Logging

/// Writes log lines to standard error.
public struct StandardErrorLog: LogHandler {
    /// Goes with each line.
    public var metadata: Logger.Metadata = [:]
    /// Gives more metadata when a line is written.
    public var metadataProvider: Logger.MetadataProvider?
    /// Least severe level that is logged.
    public var logLevel: Logger.Level

    private let label: String
    private let service: String
    private let format: LogFormat
    private let clock: any WallClock
    private let write: @Sendable (String) -> Void

    /// A handler for `Logger(label: label)` in the service instance `service`.
    public init(label: String, service: String, level: Logger.Level, format: LogFormat) {
        self.init(label: label, service: service, level: level, format: format, clock: SystemWallClock()) { line in
            StandardErrorLog.writeToStandardError(line)
        }
    }

    init(
        label: String, service: String, level: Logger.Level, format: LogFormat, clock: any WallClock,
        write: @escaping @Sendable (String) -> Void
    ) {
        self.label = label
        self.service = service
        self.format = format
        self.clock = clock
        self.write = write
        logLevel = level
    }

    /// One value of the metadata.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line.
    public func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        if let error = event.error { all["error"] = "\(error)" }
        let line = LogLine(
            timeUs: clock.nowUs(), level: event.level, service: service, logger: label,
            message: event.message.description, metadata: all)
        write(line.text(format))
    }

    /// Writes a text as it is. What standard error does not take is lost: there is no other place to complain.
    static func writeToStandardError(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[done...])
                let count = Glibc.write(STDERR_FILENO, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                done += count
            }
        }
    }
}
