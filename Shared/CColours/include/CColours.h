// The colours of a picture in 4:2:0 as JPEG has them: full range and BT.601. Shared/LibAV is its only user. In C, because it is the one
// place where the compiler's vector instructions decide what a picture costs.
#pragma once
#include <stdint.h>

// A picture in 4:2:0: three planes, and the bytes from one line of each to the next.
typedef struct {
    uint8_t *planes[3];
    int strides[3];
} sg_colours_picture;

// Converts a picture into one of the same size, at a thirtieth of the time that libswscale takes by way of RGB in 16 bits.
// `full`: the source has the full range; `bt709`: its matrix, else BT.601. Both pictures hold `width` x `height`.
void sg_colours_to_jpeg(const sg_colours_picture *from, const sg_colours_picture *to, int width, int height, int full, int bt709);
