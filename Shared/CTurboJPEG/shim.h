// libjpeg-turbo: pictures to JPEG. Shared/LibAV is its only user.
#include <turbojpeg.h>
