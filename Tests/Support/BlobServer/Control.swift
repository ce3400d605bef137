// Commands to the server itself, over HTTP below /_control/: faults, limits, the log of requests, the end of uncommitted blocks.
//
//   POST   /_control/faults   {"faults": [{"operation": "PutBlock", "action": "status", "status": 503, "count": 2}]}
//   GET    /_control/faults   those that still wait
//   DELETE /_control/faults   forget them
//   POST   /_control/throttle {"requests_per_second": 5, "bytes_per_second": 1000000, "retry_after_seconds": 1}
//   DELETE /_control/throttle no limits
//   GET    /_control/requests the newest requests
//   POST   /_control/expire-blocks   drop all uncommitted blocks
import Foundation
import NIOHTTP1

extension BlobService {
    /// Commands that come over HTTP; nil where there is no such path.
    func control(method: HTTPMethod, path: String, body: [UInt8]) -> BlobResponse? {
        struct FaultList: Codable {
            let faults: [Fault]
        }
        struct RequestList: Codable {
            let requests: [RequestRecord]
        }
        func json(_ value: some Encodable) -> BlobResponse {
            let bytes = (try? JSONEncoder().encode(value)).map { [UInt8]($0) } ?? []
            return BlobResponse(.ok, headers: ["Content-Type": "application/json"], body: .bytes(bytes))
        }
        func wrong(_ text: String, _ error: any Error) -> BlobResponse {
            BlobResponse(
                .badRequest, headers: ["Content-Type": "text/plain"], body: .bytes(Array("\(text): \(error)\n".utf8)))
        }
        switch (method, path) {
        case (.POST, "/_control/faults"):
            do {
                faults.add(try JSONDecoder().decode(FaultList.self, from: Data(body)).faults)
                return json(FaultList(faults: faults.waiting))
            } catch {
                return wrong("A fault list is {\"faults\": [{\"action\": \"status\", …}]}", error)
            }
        case (.GET, "/_control/faults"): return json(FaultList(faults: faults.waiting))
        case (.DELETE, "/_control/faults"):
            faults.clear()
            return BlobResponse(.noContent)
        case (.POST, "/_control/throttle"):
            do {
                let throttle = try JSONDecoder().decode(Throttle.self, from: Data(body))
                limit(throttle)
                return json(throttle)
            } catch {
                return wrong("A limit is {\"requests_per_second\": 5, \"bytes_per_second\": 1000000}", error)
            }
        case (.DELETE, "/_control/throttle"):
            limit(nil)
            return BlobResponse(.noContent)
        case (.GET, "/_control/requests"): return json(RequestList(requests: faults.requests))
        case (.POST, "/_control/expire-blocks"):
            catalogue.expireUncommittedBlocks(before: .distantFuture)
            return BlobResponse(.noContent)
        default: return nil
        }
    }
}
