// How slow a line may be and still count as working. Values only.
//
// A line at a site may give a kibibyte in a second for hours. Nobody knows that beforehand, and whoever waits long from the start
// notices a dead connection late; so what stalled is given four times as long when it is sent again, until it fits.
//
//   stalls one after the other      0         1        2        3 and more
//   bytes per second              32 KiB     8 KiB    2 KiB    1 KiB
//   time for 4 MiB              2 min 28 s  9 min    34 min   68 min

/// What the attempts so far say of the slowest line that still works.
struct Patience: Sendable, Equatable {
    /// Time for a connection, and for an answer once the body has gone, however fast the line is.
    static let always = Duration.seconds(20)
    /// As slow as a line is thought to be that nothing is known of: noticed in seconds, and seldom wrong.
    static let usualBytesPerSecond = 32 << 10
    /// Slower is as good as dead: a recording of a minute would take a day.
    static let leastBytesPerSecond = 1 << 10

    /// Bytes per second that are waited for.
    private(set) var bytesPerSecond = usualBytesPerSecond

    /// Time until so many bytes have moved.
    func time(for bytes: Int) -> Duration { Self.always + .seconds(bytes / bytesPerSecond) }

    /// An attempt stalled that had this patience and had sent a part of its body. Those that stall beside each other count as one.
    mutating func stalled(_ had: Patience) {
        bytesPerSecond = max(min(bytesPerSecond, had.bytesPerSecond / 4), Self.leastBytesPerSecond)
    }

    /// A body arrived. More is expected where it came at four times that rate, because others were on their way beside it and lines
    /// vary; at most twice as much, so that one that was lucky does not count for all.
    mutating func arrived(bytes: Int, in time: Duration) {
        let carried = Double(bytes) / max(time / .seconds(1), 0.001) / 4
        let most = min(bytesPerSecond * 2, Self.usualBytesPerSecond)
        bytesPerSecond = max(bytesPerSecond, Int(min(carried, Double(most))))
    }
}
