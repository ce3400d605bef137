// How far a session came on its way to pictures, for whoever asks what is wrong with a camera. Recording needs none of it.

/// A step of a session with a camera, told on the loop's thread. A session that is led elsewhere begins anew.
public enum SessionStep: Sendable, Equatable {
    /// The connection stands, with this address: "192.0.2.10:554". Over TLS its certificate is trusted.
    case connected(String)
    /// The camera asks who we are.
    case asksForUser
    /// It offers these streams.
    case described(SessionDescription)
    /// The first packet of a stream came.
    case media
    /// It sent bytes that are no message; these are the first of them.
    case noise([UInt8])
    /// Its own clock, by its reports, showed this in microseconds since 1970 at the picture that just came.
    case pictureTime(wallUs: Int64)
    /// The connection is no more, or never was.
    case disconnected(ConnectionEnd)

    /// So many bytes of noise are enough to see what speaks there.
    static let noiseBytes = 64
}
