// The contract's C code, made by proto/generate. Shared/Wire is its only user.
#include "sightglass/v1/adapter.pb-c.h"
#include "sightglass/v1/capture.pb-c.h"
#include "sightglass/v1/common.pb-c.h"
#include "sightglass/v1/envelope.pb-c.h"
#include "sightglass/v1/indexer.pb-c.h"
#include "sightglass/v1/registry.pb-c.h"
#include "sightglass/v1/uploader.pb-c.h"
