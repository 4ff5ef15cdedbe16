#include "ctrl/hooks/compile.h"

#include "ctrl/hooks/local_subjects.h"
#include "kernel/bpf/system_call.h"
#include "kernel/bpf/tracing_files.h"
#include "kernel/bpf/type_resolver.h"
#include "kernel/hooks/program_files.h"
#include "policy/resource/line_text.h"

namespace sluice::hooks {
namespace {

constexpr std::size_t kMaxProblemsShown = 5;

// By NamespaceType.
constexpr const char* kNamespaceFiles[] = {
    "uts", "ipc", "mnt", "pid", "pid_for_children", "net", "time", "time_for_children", "cgroup", "user"};
static_assert(std::size(kNamespaceFiles) == policy::tracing::kNamespaceTypeCount);

}  // namespace

policy::tracing::CompileOptions OptionsOfHost() {
  policy::tracing::CompileOptions options;
  for (std::size_t i = 0; i < std::size(kNamespaceFiles); ++i)
    options.host_namespaces[i] =
        static_cast<std::uint32_t>(InodeOfFile(fmt::format("/proc/1/ns/{}", kNamespaceFiles[i])));
  options.syscall_number = [](std::string_view name) { return bpf::FindSystemCall(name).number; };
  return options;
}

StatusOr<std::shared_ptr<const policy::tracing::CompiledPolicy>> Compile(
    const std::shared_ptr<const policy::tracing::TracingPolicy>& policy, const policy::tracing::CompileOptions& options,
    const bpf::AdminCalls& calls) {
  const bpf::KernelTypeResolver types;
  const bpf::TracingFiles formats(calls);
  const ProgramFiles programs;
  policy::tracing::CompileOptions here = options;
  here.types = &types;
  here.formats = &formats;
  here.programs = &programs;
  policy::tracing::Compilation compilation = policy::tracing::Compile(policy, here);
  if (compilation.policy != nullptr) return std::move(compilation.policy);
  std::string text;
  std::size_t shown = 0;
  for (const policy::Problem& problem : compilation.problems) {
    if (shown == kMaxProblemsShown) break;
    text += fmt::format("{}{}{}", shown++ == 0 ? "" : "\n", LineText(problem.place), problem.what);
  }
  if (shown < compilation.problems.size()) text += fmt::format("\n{} more", compilation.problems.size() - shown);
  return InvalidError("{}", text);
}

}  // namespace sluice::hooks
