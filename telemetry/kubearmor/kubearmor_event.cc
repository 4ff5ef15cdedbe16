#include "telemetry/kubearmor/kubearmor_event.h"

#include <absl/time/time.h>
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>

#include "base/printable.h"

namespace sluice::telemetry {
namespace {

constexpr char kPassed[] = "Passed";
constexpr char kDenied[] = "Permission denied";
constexpr char kPosture[] = "DefaultPosture";  // stands for a policy's name

// What is done, as their field `Data` names the place in the kernel.
struct HookName {
  std::string_view ours;
  std::string_view theirs;
};
constexpr HookName kHooks[] = {
    {"bprm_check_security", "SECURITY_BPRM_CHECK"},
    {"file_open", "FILE_OPEN"},
    {"path_mknod", "FILE_MKNOD"},
    {"path_unlink", "FILE_UNLINK"},
    {"path_mkdir", "FILE_MKDIR"},
    {"path_rmdir", "FILE_RMDIR"},
    {"path_symlink", "FILE_SYMLINK"},
    {"path_link", "FILE_LINK"},
    {"path_rename", "FILE_RENAME"},
    {"path_chmod", "FILE_CHMOD"},
    {"path_truncate", "FILE_TRUNCATE"},
    {"socket_create", "SOCKET_CREATE"},
    {"capable", "CAPABLE"},
};

// By what policies call it.
struct PresetName {
  std::string_view ours;
  std::string_view theirs;
};
constexpr PresetName kPresets[] = {
    {"protectEnv", "ProtectEnvPreset"},   {"filelessExec", "FilelessExecutionPreset"}, {"exec", "ExecPreset"},
    {"protectProc", "ProtectProcPreset"}, {"anonMapExec", "AnonMapExecutionPreset"},
};

template <typename Names>
std::string FindName(const Names& names, std::string_view ours) {
  const auto* const found =
      std::find_if(std::begin(names), std::end(names), [&](const auto& one) { return one.ours == ours; });
  if (found != std::end(names)) return std::string(found->theirs);
  std::string upper(ours);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return upper;
}

// The file has a line for each call; a system call's name is upper case, too: "SYS_UNLINK".
std::string DataOf(const v1::Alert& alert) {
  if (alert.operation() == v1::Alert::SYSCALL) return "syscall=SYS_" + FindName(kHooks, alert.resource());
  std::string data = "lsm=" + FindName(kHooks, alert.hook());
  const bool has_more = alert.operation() == v1::Alert::NETWORK || alert.operation() == v1::Alert::CAPABILITIES;
  return data + (has_more ? " " : "");
}

std::string NetworkResource(const v1::HookSocket& socket) {
  constexpr std::string_view kPrefix = "IPPROTO_";
  std::string_view protocol = socket.protocol();
  if (protocol.starts_with(kPrefix)) protocol.remove_prefix(kPrefix.size());
  if (protocol == "ICMPV6") protocol = "IPv6-ICMP";
  const bool has_protocol = !protocol.empty() && protocol != "IP";
  return fmt::format("{}{}{}type={}", has_protocol ? "protocol=" : "", has_protocol ? protocol : "",
                     has_protocol ? " " : "", socket.type());
}

// "key=value" pairs, as their field `EventData` has them: the key begins with a capital letter.
template <typename Map>
void AddPairs(std::string_view text, Map* out) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    std::string key(word.substr(0, equals));
    key.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(key.front())));
    (*out)[key] = std::string(word.substr(equals + 1));
  }
}

std::string CommandOf(const std::string& binary, const google::protobuf::RepeatedPtrField<std::string>& arguments) {
  std::string text = binary;
  for (const std::string& argument : arguments) text += " " + argument;
  return text;
}

const char* OperationName(v1::Alert::Operation operation) {
  switch (operation) {
    case v1::Alert::PROCESS:
      return "Process";
    case v1::Alert::FILE:
      return "File";
    case v1::Alert::NETWORK:
      return "Network";
    case v1::Alert::CAPABILITIES:
      return "Capabilities";
    case v1::Alert::SYSCALL:
      return "Syscall";
    default:
      return "";
  }
}

template <typename Out>
void SetTimes(const google::protobuf::Timestamp& time, Out* out) {
  out->set_timestamp(time.seconds());
  const absl::Time at = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  out->set_updatedtime(absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", at, absl::UTCTimeZone()));
}

// "a=1,b=2": a protobuf map has no order.
std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : std::map<std::string, std::string>(labels.begin(), labels.end()))
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  return text;
}

std::int32_t PidIn(const v1::Process& process) {
  return static_cast<std::int32_t>(process.namespace_pid() != 0 ? process.namespace_pid() : process.pid());
}

// What alerts and logs have of a process and its workload.
template <typename Event, typename Out>
void SetProcess(const Event& event, const v1::Process* parent, Out* out) {
  const v1::Process& process = event.process();
  SetTimes(event.time(), out);
  out->set_hostname(event.node());
  out->set_namespacename(event.namespace_());
  out->set_podname(event.workload());
  if (event.has_owner()) {
    out->mutable_owner()->set_ref(event.owner().kind());
    out->mutable_owner()->set_name(event.owner().name());
    out->mutable_owner()->set_namespace_(event.namespace_());
  }
  out->set_containerid(process.container_id());
  out->set_containername(process.container_name());
  out->set_hostpid(static_cast<std::int32_t>(process.pid()));
  out->set_pid(PidIn(process));
  out->set_uid(static_cast<std::int32_t>(process.has_effective_uid() ? process.effective_uid() : process.uid()));
  out->set_processname(process.binary());
  if (!process.working_directory().empty()) {
    out->set_cwd(process.working_directory() + (process.working_directory().ends_with('/') ? "" : "/"));
  }
  out->mutable_execevent()->set_execid(process.exec_id());
  out->mutable_execevent()->set_executablename(process.name());
  if (parent == nullptr) return;
  out->set_hostppid(static_cast<std::int32_t>(parent->pid()));
  out->set_ppid(PidIn(*parent));
  out->set_parentprocessname(parent->binary());
}

void SetPolicy(const v1::Alert& alert, feeder::Alert* out) {
  out->set_action(alert.action() == v1::Alert::BLOCK ? "Block" : "Audit");
  out->set_result(alert.action() == v1::Alert::BLOCK ? kDenied : kPassed);
  out->set_enforcer(alert.preset().empty() ? alert.enforcer() : "PRESET-" + FindName(kPresets, alert.preset()));
  const v1::PolicyRef& policy = alert.policy();
  const bool by_posture =
      policy.effect() == v1::PolicyRef::DEFAULT_DENY || policy.would() == v1::PolicyRef::DEFAULT_DENY;
  out->set_policyname(by_posture ? kPosture : policy.name());
  if (by_posture) return;
  out->set_severity(std::to_string(alert.severity()));
  out->set_tags(fmt::format("{}", fmt::join(alert.tags(), ",")));
  *out->mutable_atags() = alert.tags();
  out->set_message(alert.message());
}

feeder::Alert AlertOf(const v1::Alert& alert, const v1::Process* parent) {
  feeder::Alert out;
  SetProcess(alert, parent, &out);
  out.set_labels(LabelsText(alert.labels()));
  out.set_type(alert.workload().empty() ? "MatchedHostPolicy" : "MatchedPolicy");
  out.set_operation(OperationName(alert.operation()));
  out.set_source(CommandOf(alert.process().binary(), alert.process().arguments()));
  out.set_resource(alert.resource());
  if (alert.operation() == v1::Alert::PROCESS) {
    // There the process is what it would become, and its parent is what it is.
    out.set_parentprocessname(alert.process().binary());
    out.set_source(alert.process().binary());
    out.set_processname(alert.resource());
    out.set_resource(CommandOf(alert.resource(), alert.arguments()));
  }
  if (alert.operation() == v1::Alert::NETWORK) out.set_resource(NetworkResource(alert.socket()));
  std::string data = DataOf(alert);
  if (data.ends_with(' ')) data += out.resource();
  out.set_data(data);
  AddPairs(data, out.mutable_eventdata());
  SetPolicy(alert, &out);
  return out;
}

// They have no word for lost alerts but that of their own limit.
feeder::Alert LostAlerts(const v1::Lost& lost) {
  feeder::Alert out;
  SetTimes(lost.time(), &out);
  out.set_hostname(lost.node());
  out.set_namespacename(lost.namespace_());
  out.set_podname(lost.workload());
  out.set_type("SystemEvent");
  out.set_operation("AlertThreshold");
  out.set_message(fmt::format("{} alerts are missing: {}", lost.count(), lost.cause()));
  return out;
}

feeder::Log ExecLog(const v1::Exec& exec, const v1::Process* parent) {
  feeder::Log out;
  SetProcess(exec, parent, &out);
  out.set_type(exec.workload().empty() ? "HostLog" : "ContainerLog");
  out.set_operation("Process");
  out.set_source(parent == nullptr ? "" : parent->binary());
  out.set_resource(CommandOf(exec.process().binary(), exec.process().arguments()));
  out.set_data("syscall=SYS_EXECVE");
  AddPairs(out.data(), out.mutable_eventdata());
  out.set_result(kPassed);
  return out;
}

// An end of a flow, with what SetProcess reads of an event.
struct FlowEnd {
  const v1::Flow& flow;
  const v1::Peer& peer;

  const google::protobuf::Timestamp& time() const { return flow.time(); }
  const std::string& node() const { return flow.node(); }
  const std::string& namespace_() const { return peer.namespace_(); }
  const std::string& workload() const { return peer.workload(); }
  const v1::Process& process() const { return peer.process(); }
  bool has_owner() const { return peer.has_owner(); }
  const v1::Owner& owner() const { return peer.owner(); }
};

std::optional<feeder::Log> FlowLog(const v1::Flow& flow) {
  if (flow.event() != v1::Flow::NEW) return std::nullopt;
  const bool begins = flow.source().has_process();
  const v1::Peer& end = begins ? flow.source() : flow.destination();
  if (!end.has_process()) return std::nullopt;
  feeder::Log out;
  SetProcess(FlowEnd{flow, end}, nullptr, &out);
  out.set_labels(LabelsText(end.labels()));
  out.set_type(end.workload().empty() ? "HostLog" : "ContainerLog");
  out.set_operation("Network");
  out.set_source(CommandOf(end.process().binary(), end.process().arguments()));
  out.set_resource(fmt::format("remoteip={} port={} protocol={}", begins ? flow.ip().destination() : flow.ip().source(),
                               begins ? flow.l4().destination_port() : flow.l4().source_port(), flow.l4().protocol()));
  out.set_data(begins ? "flow=egress" : "flow=ingress");
  AddPairs(out.data(), out.mutable_eventdata());
  AddPairs(out.resource(), out.mutable_eventdata());
  out.set_result(flow.verdict() == v1::Flow::DROPPED ? kDenied : kPassed);
  return out;
}

// protobuf writes 64-bit numbers as text; their clients write numbers.
void MakeNumber(std::string_view name, std::string* json) {
  const std::string before = fmt::format("\"{}\":\"", name);
  const std::size_t at = json->find(before);
  if (at == std::string::npos) return;
  const std::size_t begin = at + before.size() - 1;
  json->erase(json->find('"', begin + 1), 1);
  json->erase(begin, 1);
}

}  // namespace

std::optional<feeder::Alert> ToKubeArmorAlert(const v1::Event& event) {
  const v1::Process* const parent = event.has_parent() ? &event.parent() : nullptr;
  if (event.has_alert()) return AlertOf(event.alert(), parent);
  if (event.has_lost() && (event.lost().event().empty() || event.lost().event() == "alert"))
    return LostAlerts(event.lost());
  return std::nullopt;
}

std::optional<feeder::Log> ToKubeArmorLog(const v1::Event& event) {
  if (event.has_exec()) return ExecLog(event.exec(), event.has_parent() ? &event.parent() : nullptr);
  if (event.has_flow()) return FlowLog(event.flow());
  return std::nullopt;
}

StatusOr<std::string> ToKubeArmorJson(const v1::Event& event) {
  const auto alert = ToKubeArmorAlert(event);
  if (!alert) return std::string();
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(*alert, &json, options);
  if (!status.ok()) {
    return MakeError(absl::StatusCode::kInternal, "an alert in KubeArmor's form as JSON: {}", status.ToString());
  }
  MakeNumber("Timestamp", &json);
  return PrintableJson(json);
}

void ExportAsKubeArmor(EventExport::Options* options) {
  options->to_line = ToKubeArmorJson;
  options->types = {"alert"};
  options->with_parents = true;
}

}  // namespace sluice::telemetry
