#include "perf/hooks/empty_program.h"

#include "kernel/bpf/system_call.h"
#include "perf/embedded_object.h"

PERF_EMBEDDED_OBJECT(hooks)  // perf/bpf/hooks.bpf.c

namespace sluice::perf {

StatusOr<EmptyProgram> EmptyProgram::Load() {
  SL_ASSIGN_OR_RETURN(bpf::ProgramSet programs, bpf::ProgramSet::Load("perf_hooks", perf_hooks_object()));
  return EmptyProgram(std::move(programs));
}

StatusOr<Fd> EmptyProgram::AttachToCall(std::string_view name, bool by_tracepoint) const {
  return by_tracepoint ? programs_.AttachTracepoint("empty_call")
                       : AttachToFunction(bpf::FindSystemCall(name).function);
}

StatusOr<Fd> EmptyProgram::AttachToFunction(std::string_view name) const {
  return programs_.AttachFunction("empty_function", name);
}

}  // namespace sluice::perf
