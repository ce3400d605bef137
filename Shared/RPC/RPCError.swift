// RPCError: the one error that crosses a service boundary. Codes are the contract's (proto envelope.proto, gRPC's names).

import Wire

/// Why a call has no reply. Handlers throw it to answer with a typed error; calls throw it.
public struct RPCError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure, for programs.
    public let code: Code
    /// For a person: names the thing, what was wrong, and what to do. Never a credential.
    public let message: String
    /// With `.invalidArgument`: the path of the field that is wrong, "window.end_us".
    public let field: String?

    /// Makes an error with any code; the named functions below read better. `.ok` is no error and becomes `.internal`.
    public init(code: Code, message: String, field: String? = nil) {
        self.code = code == .ok ? .internal : code
        self.message = message
        self.field = field
    }

    /// "not_found: no stream cam1/clips" for logs.
    public var description: String {
        field.map { "\(code.name): \(message) (\($0))" } ?? "\(code.name): \(message)"
    }

    /// A field is wrong; sending the same again cannot work.
    public static func invalidArgument(_ field: String, _ message: String) -> RPCError {
        RPCError(code: .invalidArgument, message: message, field: field.isEmpty ? nil : field)
    }

    /// What was named does not exist.
    public static func notFound(_ message: String) -> RPCError { RPCError(code: .notFound, message: message) }

    /// The present state does not allow it, for example an epoch older than the present one.
    public static func failedPrecondition(_ message: String) -> RPCError {
        RPCError(code: .failedPrecondition, message: message)
    }

    /// The service cannot be reached or cannot serve at present; safe to try again later.
    public static func unavailable(_ message: String) -> RPCError { RPCError(code: .unavailable, message: message) }

    /// A bound was reached (requests, bytes, rows).
    public static func resourceExhausted(_ message: String) -> RPCError {
        RPCError(code: .resourceExhausted, message: message)
    }

    /// A cursor is too old, or an offset lies beyond the end.
    public static func outOfRange(_ message: String) -> RPCError { RPCError(code: .outOfRange, message: message) }

    /// It exists already, and is different.
    public static func alreadyExists(_ message: String) -> RPCError { RPCError(code: .alreadyExists, message: message) }

    /// The caller's role may not do this.
    public static func permissionDenied(_ message: String) -> RPCError {
        RPCError(code: .permissionDenied, message: message)
    }

    /// A defect or a damaged store on the service's side.
    public static func `internal`(_ message: String) -> RPCError { RPCError(code: .internal, message: message) }

    /// The time ran out; the work may have been done all the same.
    public static func deadlineExceeded(_ message: String) -> RPCError {
        RPCError(code: .deadlineExceeded, message: message)
    }

    /// No such method, or a version of the contract that the server does not speak.
    public static func unimplemented(_ message: String) -> RPCError { RPCError(code: .unimplemented, message: message) }

    /// The caller gave up.
    public static func cancelled(_ message: String) -> RPCError { RPCError(code: .cancelled, message: message) }
}
