// Running processes as a tree, each below its parent where that is listed too. Pure.
#pragma once

#include <vector>

#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::client {

// Siblings in the order in which they come.
Table MakeProcessTable(const std::vector<v1::Object>& objects);

}  // namespace sluice::client
