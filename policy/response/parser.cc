#include "policy/response/parser.h"

#include <algorithm>

#include "policy/resource/name_table.h"
#include "policy/resource/resource_common.h"

namespace sluice::policy::response {
namespace {

constexpr std::string_view kPage = "docs/responses.md";
constexpr std::size_t kMaxEntries = 64;  // of each list
constexpr std::size_t kMaxTextBytes = 1024;
constexpr std::int64_t kMaxAnswers = 10'000;
constexpr std::int64_t kMaxPeriod = 86'400;  // seconds
constexpr std::int64_t kMaxFiles = 256;
constexpr std::int64_t kMaxCollected = std::int64_t{1} << 30;  // bytes

struct TargetName {
  bool tree;
  std::string_view name;
};
constexpr TargetName kTargets[] = {{false, "Process"}, {true, "Tree"}};

// A text of one line.
StatusOr<std::string> ParseLine(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (text.empty()) return field.Error("is empty");
  if (text.size() > kMaxTextBytes) return field.Error(fmt::format("is longer than {} bytes", kMaxTextBytes));
  const bool has_control =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
  if (has_control) return field.Error("has a control character");
  return text;
}

template <typename T, typename Parse>
Status ReadList(const Field& field, std::string_view key, std::vector<T>& out, Parse parse) {
  const auto list = field.Get(key);
  if (!list) return OkStatus();
  SL_RETURN_IF_ERROR(list->CheckSequence());
  const std::size_t count = list->node().items.size();
  if (count == 0) return list->Error("is empty: leave it out, or name something");
  if (count > kMaxEntries) return list->Error(fmt::format("{} entries: at most {} are possible", count, kMaxEntries));
  return field.ReadItems(key, out, parse);
}

StatusOr<std::string> ParseFile(const Field& field) {
  StatusOr<std::string> path = ParseLine(field);
  if (path.ok() && !path->starts_with('/')) return field.Error(fmt::format("{} is not absolute", Quoted(*path)));
  return path;
}

StatusOr<Source> ParseSource(const Field& field) {
  SL_ASSIGN_OR_RETURN(const SourceInfo* const info, ParseName(field, kSources, "source", kPage));
  return info->source;
}

StatusOr<rules::Priority> ParsePriorityField(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (const auto priority = rules::ParsePriority(text)) return *priority;
  return field.Error(
      fmt::format("unknown priority {}: known are Emergency, Alert, Critical, Error, Warning, Notice, "
                  "Informational and Debug",
                  Quoted(text)));
}

// A condition for something that none of its sources has would never hold.
Status CheckSources(const Field& field, const Condition& condition) {
  const auto only_has = [&](std::string_view key, Source source) -> Status {
    const auto value = field.Get(key);
    const auto& sources = condition.sources;
    if (!value || sources.empty() || std::find(sources.begin(), sources.end(), source) != sources.end())
      return OkStatus();
    return value->Error(
        fmt::format("only the source {} has it, so this entry would match nothing", InfoOf(source).name));
  };
  Status first = only_has("priority", Source::kRule);
  first.Update(only_has("severity", Source::kKubeArmor));
  const auto policies = field.Get("policies");
  if (policies && condition.sources == std::vector{Source::kRule})
    first.Update(policies->Error("the source Rule has no policy: write the rule's name in rules"));
  return first;
}

StatusOr<Condition> ParseCondition(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"sources", "policies", "rules", "tags", "priority", "severity"}));
  SL_RETURN_IF_ERROR(field.RefuseNull({"sources", "policies", "rules", "tags", "priority", "severity"}));
  if (field.node().entries.empty()) return field.Error("matches everything: name a source, or more");
  Condition condition;
  Status first = ReadList(field, "sources", condition.sources, ParseSource);
  first.Update(ReadList(field, "policies", condition.policies, ParseLine));
  first.Update(ReadList(field, "rules", condition.rules, ParseLine));
  first.Update(ReadList(field, "tags", condition.tags, ParseLine));
  if (const auto priority = field.Get("priority")) {
    SL_ASSIGN_OR_RETURN(condition.priority, ParsePriorityField(*priority));
  }
  if (const auto severity = field.Get("severity")) {
    SL_ASSIGN_OR_RETURN(const std::int64_t number, severity->Integer(1, 10));
    condition.severity = static_cast<std::uint8_t>(number);
  }
  if (!first.ok()) return first;
  SL_RETURN_IF_ERROR(CheckSources(field, condition));
  return condition;
}

StatusOr<std::string> ParseWorkloadPattern(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseLine(field));
  const auto slashes = std::count(text.begin(), text.end(), '/');
  if (slashes != 1 || text.front() == '/' || text.back() == '/')
    return field.Error(fmt::format("{}: write NAMESPACE/NAME; * stands for any text", Quoted(text)));
  return text;
}

StatusOr<WorkloadSet> ParseWorkloadSet(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"names", "namespaces", "selector", "host"}));
  SL_RETURN_IF_ERROR(field.RefuseNull({"names", "namespaces", "selector", "host"}));
  if (field.node().entries.empty()) return field.Error("has no condition: name workloads, or leave the entry out");
  WorkloadSet set;
  Status first = ReadList(field, "names", set.names, ParseWorkloadPattern);
  first.Update(ReadList(field, "namespaces", set.namespaces, ParseLine));
  if (const auto selector = field.Get("selector")) {
    SL_ASSIGN_OR_RETURN(set.selector, ParseSelector(*selector));
  }
  first.Update(field.Read("host", set.host, [](const Field& host) { return host.Bool(); }));
  if (!first.ok()) return first;
  if (set.host && field.node().entries.size() > 1)
    return field.Error("host: processes outside of workloads have no name, namespace or labels: give it its own entry");
  return set;
}

StatusOr<Kill> ParseKill(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"target"}));
  const auto target = field.Get("target");
  if (!target) return Kill();
  SL_ASSIGN_OR_RETURN(const TargetName* const name, ParseName(*target, kTargets, "target", kPage));
  return Kill{.tree = name->tree};
}

StatusOr<Collect> ParseCollect(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"executable", "written", "memory", "maxFiles", "maxBytes"}));
  Collect collect;
  const auto flag = [](const Field& value) { return value.Bool(); };
  Status first = field.Read("executable", collect.executable, flag);
  first.Update(field.Read("written", collect.written, flag));
  first.Update(field.Read("memory", collect.memory, flag));
  first.Update(field.Read("maxFiles", collect.max_files, [](const Field& value) -> StatusOr<std::uint32_t> {
    SL_ASSIGN_OR_RETURN(const std::int64_t number, value.Integer(1, kMaxFiles));
    return static_cast<std::uint32_t>(number);
  }));
  first.Update(field.Read("maxBytes", collect.max_bytes, [](const Field& value) -> StatusOr<std::uint64_t> {
    SL_ASSIGN_OR_RETURN(const std::int64_t number, value.Integer(1, kMaxCollected));
    return static_cast<std::uint64_t>(number);
  }));
  if (!first.ok()) return first;
  if (!collect.executable && !collect.written && !collect.memory) return field.Error("collects nothing");
  return collect;
}

StatusOr<std::string> ParseUrl(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string url, ParseLine(field));
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme) && url.size() > scheme.size() && url[scheme.size()] != '/') return url;
  }
  return field.Error(fmt::format("{}: write http://HOST/PATH or https://HOST/PATH", Quoted(url)));
}

StatusOr<Notify> ParseNotify(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"url", "caFile", "certificateFile", "keyFile", "tokenFile"}));
  SL_RETURN_IF_ERROR(field.RefuseNull({"url", "caFile", "certificateFile", "keyFile", "tokenFile"}));
  if (!field.Get("url")) return field.Missing("url");
  Notify notify;
  Status first = field.Read("url", notify.url, ParseUrl);
  first.Update(field.Read("caFile", notify.ca_file, ParseFile));
  first.Update(field.Read("certificateFile", notify.certificate_file, ParseFile));
  first.Update(field.Read("keyFile", notify.key_file, ParseFile));
  first.Update(field.Read("tokenFile", notify.token_file, ParseFile));
  if (!first.ok()) return first;
  if (notify.certificate_file.empty() != notify.key_file.empty())
    return field.Error("certificateFile and keyFile go together");
  const bool has_secret = !notify.certificate_file.empty() || !notify.token_file.empty();
  if (notify.url.starts_with("http://") && (has_secret || !notify.ca_file.empty()))
    return field.Error("caFile, certificateFile and tokenFile are for an https URL");
  return notify;
}

Status ParseActions(const Field& field, Response& response) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"quarantine", "capture", "kill", "collect", "notify"}));
  // In YAML, "quarantine:" alone is such a null.
  SL_RETURN_IF_ERROR(field.RefuseNull({"quarantine", "capture", "kill", "collect", "notify"}));
  if (field.node().entries.empty())
    return field.Error("does nothing: add quarantine, capture, kill, collect or notify");
  Status first = OkStatus();
  const auto flag = [&](std::string_view key, bool& out) {
    const auto action = field.Get(key);
    if (!action) return;
    first.Update(action->AllowOnly({}));
    out = true;
  };
  flag("quarantine", response.quarantine);
  flag("capture", response.capture);
  const auto read = [&](std::string_view key, auto& out, auto parse) {
    const auto action = field.Get(key);
    if (!action) return;
    auto parsed = parse(*action);
    first.Update(parsed.status());
    if (parsed.ok()) out = *std::move(parsed);
  };
  read("kill", response.kill, ParseKill);
  read("collect", response.collect, ParseCollect);
  read("notify", response.notify, ParseNotify);
  return first;
}

Status ParseLimits(const Field& field, Limits& limits) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"perWorkload", "total", "seconds"}));
  const auto count = [](const Field& value) -> StatusOr<std::uint32_t> {
    SL_ASSIGN_OR_RETURN(const std::int64_t number, value.Integer(1, kMaxAnswers));
    return static_cast<std::uint32_t>(number);
  };
  Status first = field.Read("perWorkload", limits.per_workload, count);
  first.Update(field.Read("total", limits.total, count));
  first.Update(field.Read("seconds", limits.period_seconds, [](const Field& value) -> StatusOr<std::uint32_t> {
    SL_ASSIGN_OR_RETURN(const std::int64_t number, value.Integer(1, kMaxPeriod));
    return static_cast<std::uint32_t>(number);
  }));
  if (!first.ok()) return first;
  if (limits.per_workload > limits.total) {
    const auto own = field.Get("perWorkload");
    return (own ? *own : field)
        .Error(fmt::format("{} answers for one workload, but only {} in total", limits.per_workload, limits.total));
  }
  return OkStatus();
}

Status ParseInto(const Field& root, const ObjectName& name, Resource& resource) {
  SL_ASSIGN_OR_RETURN(resource.response, ParseResponse(root, name.name));
  return OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const Response>> ParseResponse(const Field& root, const std::string& name) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec"}));
  const auto spec = root.Get("spec");
  if (!spec) return root.Missing("spec");
  SL_RETURN_IF_ERROR(spec->AllowOnly({"match", "workloads", "never", "do", "dryRun", "rateLimit"}));
  SL_RETURN_IF_ERROR(spec->RefuseNull({"match", "workloads", "never", "do", "dryRun", "rateLimit"}));
  const auto actions = spec->Get("do");
  if (!spec->Get("match")) return spec->Missing("match");
  if (!actions) return spec->Missing("do");
  auto response = std::make_shared<Response>();
  response->name = name;
  Status first = ReadList(*spec, "match", response->match, ParseCondition);
  first.Update(ReadList(*spec, "workloads", response->workloads, ParseWorkloadSet));
  first.Update(ReadList(*spec, "never", response->never, ParseWorkloadSet));
  first.Update(ParseActions(*actions, *response));
  first.Update(spec->Read("dryRun", response->dry_run, [](const Field& field) { return field.Bool(); }));
  if (const auto limits = spec->Get("rateLimit")) first.Update(ParseLimits(*limits, response->limits));
  if (!first.ok()) return first;
  return response;
}

std::vector<KindParser> KindParsers() { return {{.kind = Kind::kResponse, .parse = ParseInto}}; }

}  // namespace sluice::policy::response
