#include "ctrl/explain/operation.h"

#include <algorithm>
#include <vector>

#include "ctrl/explain/tracing_operation.h"
#include "policy/lsm/evaluate.h"
#include "policy/lsm/limits.h"
#include "policy/lsm/select.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/text.h"

namespace sluice::explain {
namespace {

namespace lsm = policy::lsm;
using Finding = v1::OperationExplanation::Finding;
using Request = v1::ExplainOperationRequest;

constexpr char kNode[] = "node";

// Where the process is.
struct From {
  bool is_node = false;
  policy::ObjectName name;
  policy::Labels labels;
};

StatusOr<From> FindFrom(const policy::ResourceMap& resources, const std::string& text) {
  From from;
  from.is_node = text == kNode;
  if (from.is_node) return from;
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return InvalidError("{}: expected namespace/name of a workload or pod, or node", text);
  }
  from.name = {text.substr(0, slash), text.substr(slash + 1)};
  if (const policy::ResourceId id{policy::Kind::kWorkload, from.name}; resources.contains(id)) {
    from.labels = resources.at(id).workload->labels;
    return from;
  }
  const policy::ResourceId id{policy::Kind::kPod, from.name};
  if (!resources.contains(id)) {
    return MakeError(absl::StatusCode::kNotFound, "{}: no such workload or pod; `sluice get workloads` lists them",
                     text);
  }
  from.labels = resources.at(id).pod->labels;
  return from;
}

StatusOr<std::string> CheckPath(const char* what, const std::string& text) {
  if (text.starts_with('/') && text.size() <= lsm::kMaxPathBytes) return text;
  return InvalidError("{} {}: expected an absolute path of at most {} bytes", what, text, lsm::kMaxPathBytes);
}

// What it leads to in the workload's file system. A directory's "/" at the end stays.
std::string Resolve(const From& from, const std::string& path, const FindProgram& find, ProgramLinks* links) {
  if (!find || from.is_node) return path;
  const auto files = find(from.name, path);
  if (files.empty()) return path;
  const bool as_directory = path.size() > 1 && path.ends_with('/');
  std::string target = files.front().path;
  if (target.empty()) target = "/";
  if (as_directory && !target.ends_with('/')) target += '/';
  if (target != path && links != nullptr) AddLink(from.name, path, target, links);
  return target;
}

v1::PolicyRef RefTo(const lsm::Policy& policy, const lsm::Decision& decision) {
  constexpr policy::Kind kKinds[] = {policy::Kind::kKubeArmorPolicy, policy::Kind::kKubeArmorHostPolicy,
                                     policy::Kind::kKubeArmorClusterPolicy};
  const policy::Kind kind = kKinds[static_cast<std::size_t>(policy.kind)];
  v1::PolicyRef ref;
  ref.set_kind(policy::KindName(kind));
  ref.set_api_version(policy::KindApiVersion(kind));
  ref.set_namespace_(policy.name.ns);
  ref.set_name(policy.name.name);
  ref.set_rule(decision.rule->field);
  switch (decision.action) {
    case lsm::Action::kBlock:
      ref.set_effect(decision.by_posture ? v1::PolicyRef::DEFAULT_DENY : v1::PolicyRef::DENY);
      break;
    case lsm::Action::kAudit:
      ref.set_effect(v1::PolicyRef::AUDIT);
      if (decision.by_posture) ref.set_would(v1::PolicyRef::DEFAULT_DENY);
      break;
    case lsm::Action::kAllow:
      ref.set_effect(v1::PolicyRef::ALLOW);
      break;
  }
  return ref;
}

class OperationAnswer {
 public:
  OperationAnswer(const policy::ResourceMap& resources, const AskedNode& node, const From& from, const Request& request,
                  v1::OperationExplanation* out)
      : resources_(resources), node_(node), from_(from), request_(request), out_(out) {}

  Status AskKubeArmor(const lsm::Operation& operation) {
    std::vector<const lsm::Policy*> policies;
    for (const policy::Kind kind : policy::kKubeArmorKinds) {
      for (const auto& [id, resource] : resources_.of(kind)) {
        if (Selects(id, *resource.lsm)) policies.push_back(resource.lsm.get());
      }
    }
    SL_ASSIGN_OR_RETURN(const lsm::Postures postures, Postures());
    const lsm::Subject subject{.program = out_->program(), .uid = request_.uid(), .terminal = request_.terminal()};
    const lsm::Decision decision = lsm::Evaluate(policies, postures, subject, operation);
    if (decision.rule == nullptr) return OkStatus();
    Finding& finding = *out_->add_findings();
    *finding.mutable_policy() = RefTo(*decision.policy, decision);
    finding.add_actions(std::string(lsm::InfoOf(decision.action).name));
    finding.set_stops(decision.action == lsm::Action::kBlock);
    return OkStatus();
  }

  void AskTracing(TracedOperation operation) {
    operation.program = out_->program();
    operation.subject.host = from_.is_node;
    operation.subject.ns = from_.name.ns;
    operation.subject.labels = from_.labels;
    operation.subject.container = request_.container();
    for (const policy::Kind kind : policy::kTracingKinds) {
      for (const auto& [id, resource] : resources_.of(kind)) {
        TracingAnswer answer = AnswerOf(*resource.tracing, operation);
        for (Finding& finding : answer.findings) *out_->add_findings() = std::move(finding);
        for (std::string& note : answer.notes) out_->add_notes(std::move(note));
      }
    }
  }

 private:
  bool Selects(const policy::ResourceId& id, const lsm::Policy& policy) {
    if (from_.is_node) {
      const bool by_name = !policy.selection.hostnames.empty() || !policy.selection.hostname_pattern.empty();
      if (policy.kind == lsm::Policy::Kind::kHost && by_name && node_.name.empty()) {
        out_->add_notes(id.ToString() + " names nodes, and this node's name is not known: it is not evaluated");
        return false;
      }
      if (policy.kind == lsm::Policy::Kind::kHost && !policy.selection.labels.empty() && !node_.labels) {
        out_->add_notes(id.ToString() +
                        " is for nodes with certain labels, and those of this node are not known: it is not evaluated");
        return false;
      }
      return lsm::Selects(policy,
                          lsm::NodeFacts{.hostname = node_.name, .labels = node_.labels.value_or(policy::Labels())});
    }
    lsm::ContainerFacts facts{.ns = from_.name.ns, .labels = from_.labels, .container = request_.container()};
    if (lsm::Selects(policy, facts)) return true;
    if (!request_.container().empty() || policy.selection.containers.empty()) return false;
    facts.container = policy.selection.containers.front();
    if (lsm::Selects(policy, facts)) {
      out_->add_notes(fmt::format("{} is for containers by name ({}): it is not evaluated without --container",
                                  id.ToString(), fmt::join(policy.selection.containers, ", ")));
    }
    return false;
  }

  StatusOr<lsm::Postures> Postures() const {
    const policy::ResourceId id{policy::Kind::kNamespace, {"", from_.name.ns}};
    if (from_.is_node || !resources_.contains(id)) return lsm::Postures();
    return lsm::PosturesOf(resources_.at(id).ns->postures);
  }

  const policy::ResourceMap& resources_;
  const AskedNode& node_;
  const From& from_;
  const Request& request_;
  v1::OperationExplanation* const out_;
};

// Those that stop it first, then those that may; in each by the order in which they were found.
void Sort(v1::OperationExplanation* out) {
  const auto rank = [](const Finding& one) { return one.stops() ? (one.unknown_size() == 0 ? 0 : 1) : 2; };
  std::stable_sort(out->mutable_findings()->begin(), out->mutable_findings()->end(),
                   [&](const Finding& a, const Finding& b) { return rank(a) < rank(b); });
}

std::string Names(const std::vector<const Finding*>& findings) {
  std::vector<std::string> names;
  for (const Finding* one : findings) {
    names.push_back(fmt::format("{} {}", telemetry::PolicyName(one->policy()), one->policy().rule()));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string ReasonOf(const v1::OperationExplanation& out) {
  std::vector<const Finding*> stops, may, rest;
  for (const Finding& one : out.findings()) {
    (one.stops() ? (one.unknown_size() == 0 ? stops : may) : rest).push_back(&one);
  }
  if (!stops.empty()) {
    const bool by_default = stops.front()->policy().effect() == v1::PolicyRef::DEFAULT_DENY;
    return by_default ? fmt::format("{} makes an allow list, which does not have it; the namespace's posture is block.",
                                    Names({stops.front()}))
                      : fmt::format("{} {} it.", Names(stops), stops.size() == 1 ? "stops" : "stop");
  }
  if (!may.empty()) return fmt::format("It passes, unless filters that are not known here hold: {}.", Names(may));
  if (rest.empty()) return "No policy is about it.";
  const bool allows = rest.front()->policy().effect() == v1::PolicyRef::ALLOW;
  return fmt::format("{} {} it.", Names(rest),
                     allows ? (rest.size() == 1 ? "allows" : "allow") : (rest.size() == 1 ? "reports" : "report"));
}

}  // namespace

StatusOr<v1::OperationExplanation> ExplainOperation(const policy::ResourceMap& resources, const AskedNode& node,
                                                    const Request& request, const FindProgram& find) {
  SL_ASSIGN_OR_RETURN(const From from, FindFrom(resources, request.from()));
  v1::OperationExplanation out;
  out.set_from(request.from());
  if (!request.program().empty()) {
    SL_ASSIGN_OR_RETURN(const std::string program, CheckPath("program", request.program()));
    out.set_program(telemetry::ToUtf8(Resolve(from, program, find, out.mutable_links())));
  }
  OperationAnswer answer(resources, node, from, request, &out);
  TracedOperation traced;
  switch (request.operation_case()) {
    case Request::kExecute: {
      const Request::Execution& execute = request.execute();
      SL_ASSIGN_OR_RETURN(const std::string path, CheckPath("program", execute.path()));
      traced.path = Resolve(from, path, find, out.mutable_links());
      out.set_operation("EXECUTE");
      SL_RETURN_IF_ERROR(
          answer.AskKubeArmor(lsm::Execution{.path = traced.path,
                                             .owner = request.owner(),
                                             .args = {execute.arguments().begin(), execute.arguments().end()}}));
      break;
    }
    case Request::kOpen: {
      const Request::Opening& open = request.open();
      SL_ASSIGN_OR_RETURN(const std::string path, CheckPath("file", open.path()));
      traced.path = Resolve(from, path, find, out.mutable_links());
      traced.kind = open.writes() ? TracedOperation::Kind::kWrite : TracedOperation::Kind::kRead;
      out.set_operation(open.writes() ? "OPEN_FOR_WRITING" : "OPEN");
      SL_RETURN_IF_ERROR(
          answer.AskKubeArmor(lsm::Opening{.path = traced.path, .owner = request.owner(), .writes = open.writes()}));
      break;
    }
    case Request::OPERATION_NOT_SET:
      return InvalidError("explain: name a program to execute or a file to open");
  }
  out.set_path(telemetry::ToUtf8(traced.path));
  answer.AskTracing(std::move(traced));
  Sort(&out);
  out.set_allowed(std::none_of(out.findings().begin(), out.findings().end(),
                               [](const Finding& one) { return one.stops() && one.unknown_size() == 0; }));
  out.set_reason(ReasonOf(out));
  return out;
}

}  // namespace sluice::explain
