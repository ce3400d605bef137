// What to do about a camera, by the cause that a probe or a controller found. Pure.

/// Pieces of advice by their causes, which are also the words for programs.
enum CameraAdvice {
    static let unknownName =
        "check the spelling of the address, and the name service of the host that asks (`getent hosts NAME`); an address in "
        + "numbers needs none"
    static let refused =
        "the host is there and nothing listens at this port: check the port (RTSP mostly has 554), and that RTSP is switched on "
        + "in the camera"
    static let noAnswer =
        "check the camera's power and cable, and that nothing on the way drops packets to this address and port (VLAN, firewall)"
    static let untrusted =
        "put the certificate that the camera shows, or its authority, as PEM into the secrets folder and name it: --trust here, "
        + "trustSettings.trustList in the device; an address must be one that the certificate names"
    static let noTLS =
        "this port speaks no TLS that is taken here: check the port, or use rtsp:// in a network of its own"
    static let noUser =
        "name the files that hold user and password: --username-ref and --password-ref here, usernamePasswordCredentials in the "
        + "device"
    static let unauthorized =
        "compare user and password with those in the camera's own pages, where streaming may have users of its own; many cameras "
        + "lock an account for minutes after a few attempts, so wait before the next one"
    static let notFound =
        "the path is wrong: look up the stream's path of this model (often /stream1, /Streaming/Channels/101, "
        + "/axis-media/media.amp), or ask the camera by ONVIF"
    static let busy =
        "end other viewers and recorders of this camera, or wait a minute for the time-out of a session that was lost; all tasks "
        + "of Sightglass share one session"
    static let web =
        "this is the camera's web server: RTSP has another port, mostly 554; pictures over HTTP have http:// addresses"
    static let notRTSP = "something else listens at this port: check host and port against the camera's own pages"
    static let silent =
        "the port is open, and who listens there says nothing: restart the camera, look for newer firmware, and check that the "
        + "port is that of RTSP"
    static let hangsUp =
        "the camera takes connections and ends them: it may be starting, serve as many as it can, or allow other addresses only; "
        + "try again in a minute, then look into its access list"
    static let noMedia =
        "the camera takes the session and sends nothing: restart it, check that this stream is switched on, and that its encoder "
        + "runs (its own pages show a picture)"
    static let unusable =
        "what comes cannot be made into pictures: look for newer firmware, switch off smart or scalable coding (H.264+, SVC), or "
        + "use another stream of the camera"
    static let codec = "set this stream to H.264, H.265 or Motion JPEG in the camera, or use the path of another stream"
    static let noKeyframe =
        "nothing can be decoded or cut before a keyframe: set the camera's keyframe interval (GOP, I-frame interval) to 1 to 2 s, "
        + "and switch off smart coding"
    static let longInterval =
        "footage begins and ends at keyframes, and pictures are made of them: set the camera's keyframe interval (GOP, I-frame "
        + "interval) to 1 to 2 s, and switch off smart coding"
    static let breaks =
        "look at the camera's load and log, and at the network on the way; `probe --for 60s` shows how often it happens"
    static let loss = "look for a full or bad line on the way (wireless, duplex, cable), or lower the camera's bit rate"
    static let clockJumps =
        "each jump ends a file and begins another: set the camera's time by NTP, one server for all, and look for newer firmware"
    static let clockPace =
        "the times that the camera gives its pictures are wrong: look for newer firmware; lengths of clips will be wrong"
    static let clockWrong =
        "set the camera's time by NTP, so that what it writes into its pictures is true; footage is dated by the host's clock"
    static let other =
        "look into the camera's own log, and try another player (`ffprobe ADDRESS`); tell us if that one plays it"

    /// The advice for the cause that a controller tells in a source's status.
    static func of(cause: String) -> String {
        switch cause {
        case "unauthorized": unauthorized
        case "refused": refused
        case "unreachable": noAnswer
        case "silent": noMedia
        case "no_keyframe": noKeyframe
        case "busy": busy
        case "not_found": notFound
        default: other
        }
    }
}
