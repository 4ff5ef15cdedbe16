// Binds a typed map of the packet path's object, which owns it and must outlive it.
//   SL_RETURN_IF_ERROR(BindMap(object, "prefixes", &prefixes_));
#pragma once

#include "base/status.h"
#include "kernel/bpf/object.h"

namespace sluice::datapath {

template <typename Map>
Status BindMap(const bpf::DatapathObject& object, const char* name, Map* map) {
  SL_ASSIGN_OR_RETURN(*map, Map::Bind(object.map_fd(name), name));
  return OkStatus();
}

}  // namespace sluice::datapath
