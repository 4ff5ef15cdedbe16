// What `get` lists, as a table: the columns of each kind and the cells of each object. Pure.
#pragma once

#include "ctrl/api/kinds.h"
#include "ctrl/api/sluice.pb.h"
#include "ctrl/base/table.h"

namespace sluice::client {

Table MakeObjectTable(const api::KindSelection& selection);
// `object` is of the selection that `table` was made for.
void AddObject(const api::KindSelection& selection, const v1::Object& object, Table* table);

}  // namespace sluice::client
