// A label selector as kubectl takes it, in one line. Pure.
#pragma once

#include <string_view>

#include "policy/resource/model.h"

namespace sluice::policy {

// "app=web,tier!=db,zone in (a, b),env notin (dev),canary,!old"; empty selects everything. InvalidArgument names the
// part that is wrong.
StatusOr<Selector> ParseLabelSelector(std::string_view text);

}  // namespace sluice::policy
