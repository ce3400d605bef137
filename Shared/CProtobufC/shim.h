// The run-time of protobuf-c 1.4, under the code generated in Shared/CWire.
#include <protobuf-c/protobuf-c.h>
