// Arguments of hooks in Tetragon's form. Pure.
#pragma once

#include "api/sluice.pb.h"
#include "api/tetragon.pb.h"

namespace sluice::telemetry {

// Without a value if the argument could not be read.
tetragon::KprobeArgument ToTetragonArgument(const v1::HookArgument& argument);

}  // namespace sluice::telemetry
