// Where the command line reads disks: on a thread that may block, because a disk that stalls must not hold a thread of Swift's
// pool, of which there are as many as processors.

import ServiceKit

extension BlockingLane {
    /// One command at a time reads one disk after the other.
    static let disks = BlockingLane("disks")
}
