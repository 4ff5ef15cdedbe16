#include "telemetry/tetragon/tetragon_process.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace sluice::telemetry {
namespace {

constexpr std::uint32_t kNoLogin = ~0U;
constexpr std::size_t kDockerLength = 31;

struct ExecIdParts {
  std::string_view node;
  std::string_view pid;
  std::string_view nanoseconds;
};

// The node's name may have colons.
std::optional<ExecIdParts> Split(std::string_view exec_id) {
  const std::size_t second = exec_id.rfind(':');
  if (second == std::string_view::npos || second == 0) return std::nullopt;
  const std::size_t first = exec_id.rfind(':', second - 1);
  if (first == std::string_view::npos) return std::nullopt;
  return ExecIdParts{.node = exec_id.substr(0, first),
                     .pid = exec_id.substr(first + 1, second - first - 1),
                     .nanoseconds = exec_id.substr(second + 1)};
}

// One text, as a shell would read it if no argument had quotes.
std::string ArgumentsText(const v1::Process& process) {
  std::string text;
  for (const std::string& argument : process.arguments()) {
    const bool quoted = argument.empty() || argument.find(' ') != std::string::npos;
    text += fmt::format("{}{}{}{}", text.empty() ? "" : " ", quoted ? "\"" : "", argument, quoted ? "\"" : "");
  }
  return text;
}

bool Has(const v1::Process& process, v1::Process::Flag flag) {
  return std::find(process.flags().begin(), process.flags().end(), flag) != process.flags().end();
}

std::string FlagsText(const v1::Process& process, bool forked) {
  if (Has(process, v1::Process::INCOMPLETE)) return "unknown";
  std::string text = Has(process, v1::Process::STARTED_BEFORE_AGENT) ? "procFS" : "execve";
  if (Has(process, v1::Process::ARGUMENTS_TRUNCATED)) text += " truncArgs";
  if (process.working_directory() == "/") text += " rootcwd";
  if (process.working_directory().empty()) text += " nocwd";
  if (forked) text += " clone";
  return text;
}

void FillProperties(const v1::Process& process, tetragon::Process* out) {
  if (Has(process, v1::Process::SETUID) && process.has_effective_uid()) {
    out->mutable_binary_properties()->mutable_setuid()->set_value(process.effective_uid());
  }
  if (Has(process, v1::Process::UNLINKED)) {
    out->mutable_binary_properties()->mutable_file()->mutable_inode()->mutable_links()->set_value(0);
  }
}

}  // namespace

std::string TetragonExecId(const std::string& exec_id) {
  const auto parts = Split(exec_id);
  if (!parts) return "";
  return absl::Base64Escape(fmt::format("{}:{}:{}", parts->node, parts->nanoseconds, parts->pid));
}

void FillTetragonProcess(const v1::Process& process, const v1::Process* parent, tetragon::Process* out) {
  out->set_exec_id(TetragonExecId(process.exec_id()));
  out->mutable_pid()->set_value(process.pid());
  if (process.has_effective_uid()) out->mutable_uid()->set_value(process.effective_uid());
  out->set_cwd(process.working_directory());
  out->set_binary(process.binary());
  out->set_arguments(ArgumentsText(process));
  // An exec without a fork before it: the parent is the same process.
  const bool forked = parent != nullptr ? parent->pid() != process.pid() : !process.parent_exec_id().empty();
  out->set_flags(FlagsText(process, forked && !Has(process, v1::Process::STARTED_BEFORE_AGENT)));
  if (process.has_start_time()) *out->mutable_start_time() = process.start_time();
  if (process.has_uid()) {
    out->mutable_auid()->set_value(process.has_login_uid() ? process.login_uid() : kNoLogin);
  }
  out->set_docker(process.container_id().substr(0, kDockerLength));
  out->set_parent_exec_id(TetragonExecId(parent != nullptr ? parent->exec_id() : process.parent_exec_id()));
  if (process.has_tid()) out->mutable_tid()->set_value(process.tid());
  if (process.container_id().empty() && process.has_uid()) out->mutable_in_init_tree()->set_value(false);
  if (!process.container_id().empty() && process.namespace_pid() == 1) out->mutable_in_init_tree()->set_value(true);
  FillProperties(process, out);
}

void FillTetragonParent(const v1::Process& process, const v1::Process* parent, tetragon::Process* out) {
  if (parent != nullptr) return FillTetragonProcess(*parent, nullptr, out);
  out->set_exec_id(TetragonExecId(process.parent_exec_id()));
  const auto parts = Split(process.parent_exec_id());
  std::uint32_t pid = 0;
  if (parts && absl::SimpleAtoi(absl::string_view(parts->pid.data(), parts->pid.size()), &pid)) {
    out->mutable_pid()->set_value(pid);
  }
}

void FillTetragonCapabilities(const v1::Process& process, tetragon::Process* out) {
  if (!process.has_uid()) return;
  tetragon::Capabilities& cap = *out->mutable_cap();
  for (const std::string& name : process.capabilities()) {
    // Tetragon's name of this one has no prefix.
    const std::string theirs = name == "CAP_DAC_OVERRIDE" ? "DAC_OVERRIDE" : name;
    if (tetragon::CapabilitiesType one{}; tetragon::CapabilitiesType_Parse(theirs, &one)) cap.add_effective(one);
  }
}

bool AreInOneWorkload(const v1::Process& a, const v1::Process& b) {
  if (a.container_id() != b.container_id()) return false;
  if (!a.container_id().empty()) return true;
  const std::uint32_t net = a.namespaces().net();
  return net != 0 && net == b.namespaces().net() && a.has_cgroup_id() && b.has_cgroup_id() &&
         a.cgroup_id() == b.cgroup_id();
}

void FillTetragonPod(const std::string& ns, const std::string& workload, const v1::Owner& owner,
                     const v1::Process& process, tetragon::Process* out) {
  if (workload.empty()) return;
  tetragon::Pod& pod = *out->mutable_pod();
  pod.set_namespace_(ns);
  pod.set_name(workload);
  pod.set_workload(owner.name());
  pod.set_workload_kind(owner.kind());
  if (process.container_id().empty()) return;
  pod.mutable_container()->set_id(process.container_id());
  pod.mutable_container()->set_name(process.container_name());
  if (process.namespace_pid() != 0) pod.mutable_container()->mutable_pid()->set_value(process.namespace_pid());
}

}  // namespace sluice::telemetry
