// What `get` lists, as a table: the columns of each kind and the cells of each object. Pure.
#pragma once

#include "api/kinds.h"
#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::client {

// `objects` are of the selection.
Table ToTable(const api::KindSelection& selection, const std::vector<v1::Object>& objects);

}  // namespace sluice::client
