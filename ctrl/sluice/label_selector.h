// `-l`: a label selector as kubectl takes it. Pure.
#pragma once

#include <string_view>

#include "policy/resource/model.h"

namespace sluice::client {

// "app=web,tier!=db,zone in (a, b),env notin (dev),canary,!old"; empty selects everything. InvalidArgument names the
// part that is none.
StatusOr<policy::Selector> ParseLabelSelector(std::string_view text);

}  // namespace sluice::client
