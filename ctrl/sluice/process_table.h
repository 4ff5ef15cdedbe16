// Running processes as a tree, each below its parent, if that is listed too. Pure.
#pragma once

#include <vector>

#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::client {

// Siblings keep their order.
Table MakeProcessTable(const std::vector<v1::Object>& objects);

}  // namespace sluice::client
