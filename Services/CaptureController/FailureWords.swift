// From the errors of a connection to one cause for programs and one sentence for people. Pure.
import LibAV
import RTSP
import ServiceKit

enum FailureWords {
    static func failure(_ error: any Error, address: String) -> ConnectionFailure {
        switch error {
        case let failure as ConnectionFailure: failure
        case let failure as RTSPFailure:
            ConnectionFailure(cause: cause(failure.cause), reason: reason(failure, address))
        case let error as LibAVError: ConnectionFailure(cause: cause(error.cause), reason: reason(error, address))
        default: ConnectionFailure(cause: .protocolError, reason: "\(error)")
        }
    }

    private static func cause(_ cause: RTSPFailure.Cause) -> FailureCause {
        switch cause {
        case .unauthorized: .unauthorized
        case .refused: .refused
        case .unreachable: .unreachable
        case .notFound: .notFound
        case .silent: .silent
        case .busy: .busy
        case .protocolError: .protocolError
        }
    }

    private static func reason(_ failure: RTSPFailure, _ address: String) -> String {
        switch failure.cause {
        case .refused: "connection refused at \(hostAndPort(address))"
        default: failure.description
        }
    }

    private static func cause(_ cause: LibAVError.Cause) -> FailureCause {
        switch cause {
        case .unauthorized: .unauthorized
        case .refused: .refused
        case .unreachable: .unreachable
        case .notFound: .notFound
        case .silent, .ended: .silent
        case .protocol, .interrupted, .unverifiable, .corrupt, .limit, .internal: .protocolError
        }
    }

    private static func reason(_ error: LibAVError, _ address: String) -> String {
        switch error.cause {
        case .unauthorized: "camera answers but refuses the user name or password"
        case .refused: "connection refused at \(hostAndPort(address))"
        default: error.description
        }
    }

    /// "192.0.2.1:554" of an rtsp URL; never what comes before an '@'.
    static func hostAndPort(_ address: String) -> String {
        guard let url = RTSPURL(address) else { return address }
        return url.host.contains(":") ? "[\(url.host)]:\(url.port)" : "\(url.host):\(url.port)"
    }
}
