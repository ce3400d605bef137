// What a slow consumer gets: whole groups of pictures.

import Media
import Testing

struct GroupGateTests {
    @Test func dropsWholeGroupsOnly() {
        var gate = GroupGate()
        #expect(gate.admits(isVideoKeyframe: false) == false, "begins with a keyframe")
        #expect(gate.admits(isVideoKeyframe: true) == true)
        #expect(gate.admits(isVideoKeyframe: false) == true)
        gate.refused()
        gate.refused()
        #expect(gate.groupsDropped == 1)
        #expect(gate.admits(isVideoKeyframe: false) == false)
        #expect(gate.admits(isVideoKeyframe: true) == true)
    }
}
