#include "kernel/bpf/prototype.h"

#include <bpf/btf.h>

namespace sluice::bpf {

int FindPrototype(const btf* types, PrototypeKind kind, const std::string& name) {
  if (kind == PrototypeKind::kRawTracepoint) {  // typedef void (*btf_trace_NAME)(void* data, arguments...)
    const int id = btf__find_by_name_kind(types, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF);
    return id < 0 ? id : static_cast<int>(btf__type_by_id(types, btf__type_by_id(types, id)->type)->type);
  }
  const std::string function = (kind == PrototypeKind::kLsmHook ? "bpf_lsm_" : "") + name;
  const int id = btf__find_by_name_kind(types, function.c_str(), BTF_KIND_FUNC);
  return id < 0 ? id : static_cast<int>(btf__type_by_id(types, id)->type);
}

}  // namespace sluice::bpf
