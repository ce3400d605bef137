// How a command ends: the message for the person, the status for the program.

import ArgumentParser
import Clips
import Footage
import Foundation
import RPC
import Volume

/// Exit statuses; 64 and 69 are those of sysexits.h.
enum Status {
    static let notAsWished = ExitCode(1)
    /// Of doctor, where more than attention is needed.
    static let wrong = ExitCode(2)
    static let usage = ExitCode(64)
    static let serviceAway = ExitCode(69)
}

/// Why a command did not do what it should.
struct Failure: Error {
    let message: String
    let status: ExitCode

    init(_ message: String, _ status: ExitCode = Status.notAsWished) {
        self.message = message
        self.status = status
    }

    /// What a service answered, or that it did not.
    init(_ error: RPCError, role: String, connections: Connections) {
        switch error.code {
        case .unavailable, .deadlineExceeded:
            self.init(
                "\(error.message)\nStart \(role), or say where it is with --\(role) or --run-directory "
                    + "(now \(connections.runDirectory)).", Status.serviceAway)
        case .invalidArgument: self.init(error.message)
        default: self.init("\(role): \(error.message)")
        }
    }

    init(_ problem: ClipProblem) {
        self.init(problem.reason, problem.kind == .unreachable ? Status.serviceAway : Status.notAsWished)
    }

    init(_ error: FootageError, connections: Connections) {
        if case .noConfiguration(let cause) = error {
            self.init(cause, role: Role.assetRegistry.rawValue, connections: connections)
        } else {
            self.init("\(error)")
        }
    }
}

/// Runs the body of a command; its failure goes to standard error as one message and becomes the exit status.
func reporting(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let failure as Failure {
        printError(failure.message)
        throw failure.status
    } catch let problem as ClipProblem {
        let failure = Failure(problem)
        printError(failure.message)
        throw failure.status
    } catch let error as VolumeError {
        printError("\(error)")
        throw Status.notAsWished
    }
}

/// Writes a line to standard error.
func printError(_ text: String) {
    FileHandle.standardError.write(Data(("sightglass: " + text + "\n").utf8))
}
