#include "ctrl/respond/cause.h"

#include "telemetry/event/alert_text.h"
#include "telemetry/event/detection_text.h"
#include "telemetry/event/event_time.h"
#include "telemetry/event/event_type.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/hook_text.h"

namespace sluice::respond {
namespace {

using policy::response::Source;

constexpr char kPolicyDenied[] = "POLICY_DENIED";

void AddPolicy(const v1::PolicyRef& ref, Noticed* out) {
  out->cause.policies.push_back({ref.namespace_(), ref.name()});
  *out->told.add_policies() = ref;
  if (!ref.rule().empty()) out->cause.rules.push_back(ref.rule());
}

template <typename Message>
void AddProcess(const Message& message, Noticed* out) {
  out->cause.workload = {message.namespace_(), message.workload()};
  if (message.has_process()) out->process = &message.process();
  if (message.has_owner()) out->owner = &message.owner();
}

template <typename Message>
void AddTags(const Message& message, Noticed* out) {
  out->cause.tags.assign(message.tags().begin(), message.tags().end());
}

Noticed FromHook(const v1::Hook& hook) {
  Noticed out{.cause = {.source = Source::kHook}, .only_watched = hook.monitor()};
  AddPolicy(hook.policy(), &out);
  if (!hook.selector().empty()) out.cause.rules.push_back(hook.selector());
  AddTags(hook, &out);
  AddProcess(hook, &out);
  return out;
}

Noticed FromAlert(const v1::Alert& alert) {
  Noticed out{.cause = {.source = Source::kKubeArmor}};
  AddPolicy(alert.policy(), &out);
  AddTags(alert, &out);
  AddProcess(alert, &out);
  out.cause.labels.insert(alert.labels().begin(), alert.labels().end());
  if (alert.severity() != 0) {
    out.cause.severity = static_cast<std::uint8_t>(alert.severity());
    out.told.set_severity(alert.severity());
  }
  return out;
}

Noticed FromDetection(const v1::Detection& detection) {
  Noticed out{.cause = {.source = Source::kRule}};
  out.cause.rules.push_back(detection.rule());
  AddTags(detection, &out);
  AddProcess(detection, &out);
  if (detection.priority() != v1::Detection::PRIORITY_UNSPECIFIED) {
    // In the same order, from the most urgent one on.
    out.cause.priority = static_cast<policy::rules::Priority>(detection.priority() - v1::Detection::EMERGENCY);
    out.told.set_priority(std::string(NameOf(*out.cause.priority)));
  }
  return out;
}
static_assert(v1::Detection::DEBUG - v1::Detection::EMERGENCY == static_cast<int>(policy::rules::Priority::kDebug));

// The end of a denied flow is no new denial.
std::optional<Noticed> FromFlow(const v1::Flow& flow) {
  const bool denied = flow.verdict() == v1::Flow::DROPPED && flow.drop_reason() == kPolicyDenied;
  const bool audited = flow.verdict() == v1::Flow::AUDIT;
  if ((!denied && !audited) || flow.event() == v1::Flow::END || flow.source().workload().empty()) return std::nullopt;
  Noticed out{.cause = {.source = Source::kDenial}, .only_watched = audited};
  for (const v1::PolicyRef& ref : flow.policies()) {
    if (ref.effect() != v1::PolicyRef::ALLOW) AddPolicy(ref, &out);
  }
  const v1::Peer& source = flow.source();
  AddProcess(source, &out);
  out.cause.labels.insert(source.labels().begin(), source.labels().end());
  out.told.set_flow_id(flow.flow_id());
  return out;
}

}  // namespace

std::optional<Noticed> NoticedIn(const v1::Event& event) {
  std::optional<Noticed> noticed;
  if (event.has_hook()) noticed = FromHook(event.hook());
  if (event.has_alert()) noticed = FromAlert(event.alert());
  if (event.has_detection()) noticed = FromDetection(event.detection());
  if (event.has_flow()) noticed = FromFlow(event.flow());
  if (!noticed) return noticed;
  noticed->told.set_event(telemetry::TypeOf(event));
  *noticed->told.mutable_time() = telemetry::TimeOf(event);
  noticed->told.set_source(std::string(InfoOf(noticed->cause.source).name));
  for (const std::string& rule : noticed->cause.rules) noticed->told.add_rules(rule);
  for (const std::string& tag : noticed->cause.tags) noticed->told.add_tags(tag);
  return noticed;
}

std::string TextOf(const v1::Event& event) {
  if (event.has_hook()) return telemetry::HookText(event.hook());
  if (event.has_alert()) return telemetry::AlertText(event.alert());
  if (event.has_detection()) return telemetry::DetectionText(event.detection());
  return telemetry::EventText(event);
}

}  // namespace sluice::respond
