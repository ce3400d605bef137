// From the errors of a connection to one cause for programs and one sentence for people. Pure.
import RTSP
import ServiceKit

enum FailureWords {
    static func failure(_ error: any Error) -> ConnectionFailure {
        switch error {
        case let failure as ConnectionFailure: failure
        case let failure as RTSPFailure:
            ConnectionFailure(cause: cause(failure.cause), reason: failure.description)
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
}
