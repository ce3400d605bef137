// A queue between threads with a bound in bytes. Whoever puts never waits; what does not fit is refused, and the owner of
// the queue decides what that means.
import Foundation

/// Many threads put, one takes.
// @unchecked Sendable is sound: the stored state is touched only while `condition` is locked.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var elements: [(Element, Int)] = []
    private var bytes = 0
    private var closed = false
    private let maximumBytes: Int

    /// `maximumBytes` bounds the sum of the sizes that are given with the elements.
    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// Adds an element. False, and nothing happens, where it does not fit or the mailbox is closed. Size 0 always fits.
    @discardableResult
    func put(_ element: Element, bytes size: Int = 0) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !closed, size == 0 || bytes + size <= maximumBytes else { return false }
        elements.append((element, size))
        bytes += size
        // The one that takes waits only while there is nothing.
        if elements.count == 1 { condition.signal() }
        return true
    }

    /// Takes the place of all waiting elements: newest wins. Returns how many were dropped.
    func replace(with element: Element, bytes size: Int) -> Int {
        condition.lock()
        defer { condition.unlock() }
        guard !closed else { return 0 }
        let dropped = elements.count
        elements = [(element, size)]
        bytes = size
        condition.signal()
        return dropped
    }

    /// What waits, the oldest first, up to `limit` bytes but at least one element; waits for the first at most `seconds`. The
    /// rest goes on counting. Empty: nothing came. Nil: closed, and all was taken.
    func take(waitingAtMost seconds: Double, atMostBytes limit: Int = .max) -> [Element]? {
        condition.lock()
        defer { condition.unlock() }
        let deadline = Date(timeIntervalSinceNow: seconds)
        while elements.isEmpty, !closed, condition.wait(until: deadline) {}
        if elements.isEmpty { return closed ? nil : [] }
        var count = 1
        var sum = elements[0].1
        while count < elements.count, elements[count].1 <= limit - sum {
            sum += elements[count].1
            count += 1
        }
        let taken = elements[..<count].map(\.0)
        elements.removeFirst(count)
        bytes -= sum
        return taken
    }

    /// Nothing more is taken in; what waits can still be taken.
    func close() {
        condition.lock()
        closed = true
        condition.broadcast()
        condition.unlock()
    }

    /// True once nothing more is taken in.
    var isClosed: Bool {
        condition.lock()
        defer { condition.unlock() }
        return closed
    }

    /// Bytes that wait.
    var waitingBytes: Int {
        condition.lock()
        defer { condition.unlock() }
        return bytes
    }
}

/// Starts a named thread for work that blocks.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    let thread = Thread(block: body)
    thread.name = name
    thread.start()
}
