#include "telemetry/otlp/otlp_log.h"

#include <absl/strings/ascii.h>
#include <absl/time/time.h>

#include <string>
#include <utility>
#include <vector>

#include "telemetry/event/event_time.h"
#include "telemetry/event/event_type.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/otlp/otlp_attributes.h"

namespace sluice::telemetry {
namespace {

struct Severity {
  otlp_logs::SeverityNumber number = otlp_logs::SEVERITY_NUMBER_INFO;
  const char* text = "INFO";
};

constexpr Severity kInfo{};
constexpr Severity kWarn{otlp_logs::SEVERITY_NUMBER_WARN, "WARN"};

// Syslog's priorities as the log data model maps them.
Severity SeverityOf(v1::Detection::Priority priority) {
  switch (priority) {
    case v1::Detection::EMERGENCY:
      return {otlp_logs::SEVERITY_NUMBER_FATAL3, "EMERGENCY"};
    case v1::Detection::ALERT:
      return {otlp_logs::SEVERITY_NUMBER_FATAL2, "ALERT"};
    case v1::Detection::CRITICAL:
      return {otlp_logs::SEVERITY_NUMBER_FATAL, "CRITICAL"};
    case v1::Detection::ERROR:
      return {otlp_logs::SEVERITY_NUMBER_ERROR, "ERROR"};
    case v1::Detection::WARNING:
      return {otlp_logs::SEVERITY_NUMBER_WARN, "WARNING"};
    case v1::Detection::NOTICE:
      return {otlp_logs::SEVERITY_NUMBER_INFO2, "NOTICE"};
    case v1::Detection::DEBUG:
      return {otlp_logs::SEVERITY_NUMBER_DEBUG, "DEBUG"};
    default:
      return {otlp_logs::SEVERITY_NUMBER_INFO, "INFORMATIONAL"};
  }
}

bool Changes(const v1::Hook& hook) {
  for (const int action : hook.actions())
    if (action != v1::Hook::POST) return !hook.monitor();
  return false;
}

Severity SeverityOf(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return event.flow().verdict() == v1::Flow::DROPPED ? kWarn : kInfo;
    case v1::Event::kLost:
    case v1::Event::kAlert:
    case v1::Event::kResponse:
      return kWarn;
    case v1::Event::kHook:
      return Changes(event.hook()) ? kWarn : kInfo;
    case v1::Event::kDetection:
      return SeverityOf(event.detection().priority());
    case v1::Event::kChange:
      return event.change().problem().empty() ? kInfo : kWarn;
    default:
      return kInfo;
  }
}

std::string Rfc3339(const google::protobuf::Timestamp& time) {
  const absl::Time at = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E*SZ", at, absl::UTCTimeZone());
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

void AddOwner(const v1::Owner& owner, const std::string& prefix, OtlpAttributes* out) {
  static constexpr std::pair<const char*, const char*> kKinds[] = {
      {"Deployment", "k8s.deployment.name"},
      {"StatefulSet", "k8s.statefulset.name"},
      {"DaemonSet", "k8s.daemonset.name"},
      {"ReplicaSet", "k8s.replicaset.name"},
      {"Job", "k8s.job.name"},
      {"CronJob", "k8s.cronjob.name"},
  };
  for (const auto& [kind, key] : kKinds)
    if (owner.kind() == kind) return out->Add(prefix + key, owner.name());
  if (!owner.kind().empty()) out->Add(prefix + "sluice.owner", owner.kind() + "/" + owner.name());
}

// `prefix`: "" for whose event it is; "sluice.source." and "sluice.destination." for the ends of a flow.
void AddProcess(const v1::Process& process, const std::string& prefix, OtlpAttributes* out) {
  if (process.has_pid()) out->AddNumber(prefix + "process.pid", process.pid());
  out->Add(prefix + "process.executable.path", process.binary());
  out->Add(prefix + "process.executable.name", BaseName(process.binary()));
  out->Add(prefix + "sluice.process.exec_id", process.exec_id());
  out->Add(prefix + "container.id", process.container_id());
  out->Add(prefix + "k8s.container.name", process.container_name());
  if (!prefix.empty()) return;
  std::vector<std::string> words(process.arguments().begin(), process.arguments().end());
  if (const std::string& first = process.argument0().empty() ? process.binary() : process.argument0(); !first.empty())
    words.insert(words.begin(), first);
  out->AddList("process.command_args", words);
  out->Add("process.working_directory", process.working_directory());
  if (process.has_uid()) out->AddNumber("process.real_user.id", process.uid());
  if (process.has_effective_uid()) out->AddNumber("process.user.id", process.effective_uid());
  if (process.has_start_time()) out->Add("process.creation.time", Rfc3339(process.start_time()));
  out->Add("sluice.process.parent_exec_id", process.parent_exec_id());
  out->AddList("sluice.process.ancestors", process.ancestors());
}

void AddPolicies(const google::protobuf::RepeatedPtrField<v1::PolicyRef>& policies, OtlpAttributes* out) {
  if (policies.empty()) return;
  std::vector<std::string> texts;
  for (const v1::PolicyRef& policy : policies) texts.push_back(PolicyText(policy));
  const v1::PolicyRef& first = policies[0];
  out->Add("security_rule.ruleset.name", PolicyName(first));
  out->Add("security_rule.name", first.rule());
  out->Add("security_rule.category", first.kind());
  out->AddList("sluice.policies", texts);
}

void AddEnd(const v1::Peer& peer, const std::string& prefix, OtlpAttributes* out) {
  out->Add(prefix + "k8s.namespace.name", peer.namespace_());
  out->Add(prefix + "k8s.pod.name", peer.workload());
  AddOwner(peer.owner(), prefix, out);
  AddProcess(peer.process(), prefix, out);
}

void AddTraffic(const v1::Traffic& traffic, const std::string& direction, OtlpAttributes* out) {
  if (traffic.has_packets()) out->AddNumber("sluice.flow." + direction + ".packets", traffic.packets());
  if (traffic.has_bytes()) out->AddNumber("sluice.flow." + direction + ".bytes", traffic.bytes());
}

void AddService(const v1::Service& service, OtlpAttributes* out) {
  if (!service.name().empty()) out->Add("sluice.service.name", service.namespace_() + "/" + service.name());
  out->Add("sluice.service.port_name", service.port_name());
  out->Add("sluice.service.address", service.address());
  if (service.port() != 0) out->AddNumber("sluice.service.port", service.port());
}

void AddFlow(const v1::Flow& flow, OtlpAttributes* out) {
  const v1::Layer4& l4 = flow.l4();
  out->Add("network.type", flow.ip().version() == 6 ? "ipv6" : flow.ip().version() == 4 ? "ipv4" : "");
  out->Add("network.transport", absl::AsciiStrToLower(l4.protocol()));
  out->Add("source.address", flow.ip().source());
  if (l4.has_source_port()) out->AddNumber("source.port", l4.source_port());
  out->Add("destination.address", flow.ip().destination());
  if (l4.has_destination_port()) out->AddNumber("destination.port", l4.destination_port());
  out->Add("network.interface.name", flow.interface());
  out->Add("sluice.verdict", v1::Flow::Verdict_Name(flow.verdict()));
  out->Add("sluice.drop_reason", flow.drop_reason());
  if (flow.direction() != v1::Flow::DIRECTION_UNSPECIFIED)
    out->Add("sluice.direction", absl::AsciiStrToLower(v1::Flow::Direction_Name(flow.direction())));
  out->Add("sluice.flow.event", v1::Flow::Kind_Name(flow.event()));
  out->Add("sluice.flow.id", flow.flow_id());
  if (flow.has_reply()) out->AddBool("sluice.flow.reply", flow.reply());
  AddTraffic(flow.forward(), "forward", out);
  AddTraffic(flow.backward(), "backward", out);
  AddService(flow.service(), out);
  AddPolicies(flow.policies(), out);
  AddEnd(flow.source(), "sluice.source.", out);
  AddEnd(flow.destination(), "sluice.destination.", out);
  // Whose event it is: the program that opened the flow, if it is on this node.
  AddEnd(flow.source().workload().empty() ? flow.destination() : flow.source(), "", out);
}

template <typename Message>
void AddOfProcess(const Message& event, OtlpAttributes* out) {
  out->Add("k8s.namespace.name", event.namespace_());
  out->Add("k8s.pod.name", event.workload());
  AddOwner(event.owner(), "", out);
  AddProcess(event.process(), "", out);
}

void AddExit(const v1::Exit& exit, OtlpAttributes* out) {
  AddOfProcess(exit, out);
  if (exit.has_exit_code()) out->AddNumber("process.exit.code", exit.exit_code());
  out->Add("sluice.process.signal", exit.signal());
}

void AddHook(const v1::Hook& hook, OtlpAttributes* out) {
  AddOfProcess(hook, out);
  out->Add("security_rule.ruleset.name", PolicyName(hook.policy()));
  out->Add("security_rule.name", hook.selector());
  out->Add("security_rule.category", hook.policy().kind());
  out->Add("security_rule.description", hook.message());
  out->Add("sluice.hook.function", hook.function());
  std::vector<std::string> actions;
  for (const auto* taken : {&hook.actions(), &hook.return_actions()})
    for (const int action : *taken) actions.push_back(v1::Hook::Action_Name(static_cast<v1::Hook::Action>(action)));
  out->AddList("sluice.hook.actions", actions);
  out->Add("sluice.hook.signal", hook.signal());
  out->Add("sluice.hook.error", hook.error());
  if (hook.monitor()) out->AddBool("sluice.hook.monitor", true);
  out->AddList("sluice.tags", hook.tags());
}

void AddAlert(const v1::Alert& alert, OtlpAttributes* out) {
  AddOfProcess(alert, out);
  out->Add("security_rule.ruleset.name", PolicyName(alert.policy()));
  out->Add("security_rule.name", alert.policy().rule());
  out->Add("security_rule.category", alert.policy().kind());
  out->Add("security_rule.description", alert.message());
  out->Add("sluice.alert.operation", v1::Alert::Operation_Name(alert.operation()));
  out->Add("sluice.alert.action", v1::Alert::Action_Name(alert.action()));
  out->Add("sluice.alert.resource", alert.resource());
  out->Add("sluice.alert.error", alert.error());
  if (alert.severity() != 0) out->AddNumber("sluice.alert.severity", alert.severity());
  out->AddList("sluice.tags", alert.tags());
}

void AddField(const v1::DetectionField& field, OtlpAttributes* out) {
  const std::string key = "sluice.field." + field.name();
  switch (field.value_case()) {
    case v1::DetectionField::kText:
      return out->Add(key, field.text());
    case v1::DetectionField::kUint64Value:
      return out->AddNumber(key, field.uint64_value());
    case v1::DetectionField::kInt64Value:
      return out->AddNumber(key, field.int64_value());
    case v1::DetectionField::kBoolValue:
      return out->AddBool(key, field.bool_value());
    case v1::DetectionField::kList:
      return out->AddList(key, field.list().texts());
    case v1::DetectionField::VALUE_NOT_SET:
      return;
  }
}

void AddDetection(const v1::Detection& detection, OtlpAttributes* out) {
  AddOfProcess(detection, out);
  out->Add("security_rule.name", detection.rule());
  out->Add("security_rule.category", detection.source());
  out->Add("sluice.call", detection.call());
  out->AddList("sluice.tags", detection.tags());
  for (const v1::DetectionField& field : detection.fields()) AddField(field, out);
}

void AddLost(const v1::Lost& lost, OtlpAttributes* out) {
  out->Add("sluice.lost.cause", lost.cause());
  if (lost.has_count()) out->AddNumber("sluice.lost.count", lost.count());
  out->Add("sluice.lost.event", lost.event());
  out->Add("k8s.namespace.name", lost.namespace_());
  out->Add("k8s.pod.name", lost.workload());
}

void AddChange(const v1::Change& change, OtlpAttributes* out) {
  out->Add("sluice.change.action", change.action());
  out->Add("sluice.change.caller", change.caller());
  if (change.has_revision()) out->AddNumber("sluice.change.revision", change.revision());
  out->Add("sluice.change.problem", change.problem());
}

void AddResponse(const v1::Response& response, OtlpAttributes* out) {
  AddOfProcess(response, out);
  out->Add("security_rule.name", response.response());
  out->Add("security_rule.category", "Response");
  out->Add("sluice.response.action", v1::Response::Action_Name(response.action()));
  out->Add("sluice.response.outcome", v1::Response::Outcome_Name(response.outcome()));
  out->Add("sluice.response.problem", response.problem());
}

void AddAll(const v1::Event& event, OtlpAttributes* out) {
  switch (event.event_case()) {
    case v1::Event::kFlow:
      AddFlow(event.flow(), out);
      return;
    case v1::Event::kExec:
      AddOfProcess(event.exec(), out);
      return;
    case v1::Event::kFork:
      AddOfProcess(event.fork(), out);
      return;
    case v1::Event::kExit:
      AddExit(event.exit(), out);
      return;
    case v1::Event::kHook:
      AddHook(event.hook(), out);
      return;
    case v1::Event::kAlert:
      AddAlert(event.alert(), out);
      return;
    case v1::Event::kDetection:
      AddDetection(event.detection(), out);
      return;
    case v1::Event::kResponse:
      AddResponse(event.response(), out);
      return;
    case v1::Event::kLost:
      AddLost(event.lost(), out);
      return;
    case v1::Event::kChange:
      AddChange(event.change(), out);
      return;
    case v1::Event::EVENT_NOT_SET:
      break;
  }
}

// As `sluice observe` prints it, without the time.
std::string BodyOf(const v1::Event& event) {
  const std::string text = EventText(event);
  return text.substr(text.find(' ') + 1);
}

}  // namespace

void FillLogRecord(const v1::Event& event, std::uint64_t observed_ns, otlp_logs::LogRecord* out) {
  out->set_time_unix_nano(static_cast<std::uint64_t>(NanosecondsOf(TimeOf(event))));
  out->set_observed_time_unix_nano(observed_ns);
  const Severity severity = SeverityOf(event);
  out->set_severity_number(severity.number);
  out->set_severity_text(severity.text);
  out->mutable_body()->set_string_value(BodyOf(event));
  OtlpAttributes attributes(out->mutable_attributes());
  AddAll(event, &attributes);
  if (const std::string type = TypeOf(event); !type.empty()) out->set_event_name("sluice." + type);
}

}  // namespace sluice::telemetry
