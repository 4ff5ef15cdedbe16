// `get`: lists what the agent has.
#include <iterator>
#include <utility>

#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/get_output.h"
#include "ctrl/sluice/object_name.h"
#include "ctrl/sluice/verb.h"
#include "ctrl/sluice/watch.h"
#include "policy/resource/label_selector.h"

namespace sluice::client {
namespace {

struct GetOptions {
  std::string kinds;               // by commas
  std::vector<std::string> names;  // also "namespace/name"
  std::string ns;                  // by -n
  std::string configured;          // namespace of the configuration file
  bool all_namespaces = false;
  std::string selector;
  std::uint32_t limit = 0;  // of flows; 0: all
  std::string output = "table";
  bool watch = false;
};

struct Kind {
  std::string name;  // as it was typed
  api::KindSelection selection;
};

StatusOr<std::vector<Kind>> ParseKinds(const std::string& text) {
  std::vector<Kind> kinds;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    SL_ASSIGN_OR_RETURN(const api::KindSelection selection, api::ParseKind(name));
    kinds.push_back({name, selection});
    begin = end + 1;
  }
  return kinds;
}

// Whether names and -n select among the objects; of other kinds all are listed.
bool Chooses(const Kind& kind) {
  return kind.selection.listing == api::Listing::kResources || kind.selection.listing == api::Listing::kProcesses;
}

// One request for each name, or one for all.
StatusOr<std::vector<v1::GetRequest>> MakeRequests(const GetOptions& options, const Kind& kind,
                                                   const OutputForm& form) {
  v1::GetRequest base;
  base.set_kind(kind.name);
  const std::string& all_of = options.ns.empty() && Chooses(kind) ? options.configured : options.ns;
  base.set_namespace_(all_of);
  base.set_limit(options.limit);
  form.Ask(&base);
  if (options.names.empty()) return std::vector<v1::GetRequest>{base};
  std::vector<v1::GetRequest> requests;
  for (const std::string& text : options.names) {
    SL_ASSIGN_OR_RETURN(const policy::ObjectName name, ParseObjectName(text, options.ns, options.configured));
    v1::GetRequest& request = requests.emplace_back(base);
    request.set_namespace_(name.ns);
    request.set_name(name.name);
  }
  return requests;
}

bool IsSelected(const policy::Selector& selector, const v1::Object& object) {
  if (selector.requirements.empty()) return true;
  const auto& labels = object.resource().labels();
  return selector.Matches(policy::Labels(labels.begin(), labels.end()));
}

// Some kinds are always listed completely, and have neither documents nor names of their own.
Status CheckChoice(const GetOptions& options, const Kind& kind, const OutputForm& form) {
  const api::Listing listing = kind.selection.listing;
  const bool resources = listing == api::Listing::kResources;
  if (!resources && form.NeedsDocument()) {
    return InvalidError("get {} -o {}: only resources have documents and names of their own; use -o json", kind.name,
                        options.output);
  }
  if (!resources && !options.selector.empty()) {
    return InvalidError("get {} -l: only resources have labels of their own", kind.name);
  }
  if (options.limit != 0 && listing != api::Listing::kFlows) {
    return InvalidError("get {} --limit: it is only for flows", kind.name);
  }
  if (!Chooses(kind) && !(options.names.empty() && options.ns.empty())) {
    return InvalidError("get {}: names and -n are only for resources and processes; here all are listed", kind.name);
  }
  const bool passes = listing == api::Listing::kFlows || listing == api::Listing::kProcesses;
  if (passes && options.watch) return InvalidError("get {} -w: use `sluice observe -f`", kind.name);
  return OkStatus();
}

using Consume = std::function<Status(const v1::Object&)>;

// Calls `consume` for each selected object of one kind. NotFound lists the names that do not exist.
Status Fetch(Client& client, const std::vector<v1::GetRequest>& requests, const policy::Selector& selector,
             const Consume& consume) {
  std::string missing;
  for (const v1::GetRequest& request : requests) {
    bool found = false;
    SL_RETURN_IF_ERROR(client.Get(request, [&](const v1::Object& object) {
      found = true;
      return IsSelected(selector, object) ? consume(object) : OkStatus();
    }));
    if (found || request.name().empty()) continue;
    missing += fmt::format("{}{} {}{}{}: there is none", missing.empty() ? "" : "\n", request.kind(),
                           request.namespace_(), request.namespace_().empty() ? "" : "/", request.name());
  }
  return missing.empty() ? OkStatus() : MakeError(absl::StatusCode::kNotFound, "{}", missing);
}

class Getting {
 public:
  Getting(const AgentAddress& server, const GetOptions& options, OutputForm form, policy::Selector selector)
      : client_(server), options_(options), form_(std::move(form)), selector_(std::move(selector)) {}

  StatusOr<ExitCode> Once(const std::vector<Kind>& kinds) {
    std::size_t count = 0;
    Status missing;
    std::vector<v1::Object> all;
    for (const Kind& kind : kinds) {
      SL_ASSIGN_OR_RETURN(const auto requests, MakeRequests(options_, kind, form_));
      std::vector<v1::Object> rows;
      Status fetched = Fetch(client_, requests, selector_, [&](const v1::Object& object) {
        const bool is_first = count++ == 0;
        if (!form_.IsStream()) {
          rows.push_back(object);
          return OkStatus();
        }
        SL_ASSIGN_OR_RETURN(const std::string text, form_.ObjectText(object, is_first));
        return WriteOut(text);
      });
      if (!fetched.ok() && !absl::IsNotFound(fetched)) return fetched;
      SL_RETURN_IF_ERROR(ShowTable(kind, rows));
      all.insert(all.end(), std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
      if (!fetched.ok()) missing = AddMissing(missing, fetched);
    }
    if (form_.kind() == OutputForm::Kind::kJsonPath) {
      const bool is_single = kinds.size() == 1 && options_.names.size() == 1;
      if (!missing.ok()) return missing;
      SL_ASSIGN_OR_RETURN(const std::string text, form_.TemplateText(all, is_single));
      SL_RETURN_IF_ERROR(WriteOut(text));
    }
    if (!missing.ok()) return missing;
    if (count == 0 && form_.IsTable()) TellNothing();
    return ExitCode::kDone;
  }

  // Until Ctrl-C.
  StatusOr<ExitCode> Watch(const Kind& kind) {
    SL_ASSIGN_OR_RETURN(const auto requests, MakeRequests(options_, kind, form_));
    ObjectWatch watch(kind.selection, form_);
    return WatchUntilInterrupted([&]() -> Status {
      std::vector<v1::Object> rows;
      Status fetched = Fetch(client_, requests, selector_, [&](const v1::Object& object) {
        rows.push_back(object);
        return OkStatus();
      });
      if (!fetched.ok() && !absl::IsNotFound(fetched)) return fetched;
      SL_ASSIGN_OR_RETURN(const std::string text, watch.Next(std::move(rows)));
      return WriteOut(text);
    });
  }

 private:
  Status ShowTable(const Kind& kind, const std::vector<v1::Object>& rows) {
    if (!form_.IsTable() || rows.empty()) return OkStatus();
    SL_ASSIGN_OR_RETURN(const Table table, form_.ToTable(kind.selection, rows));
    const std::string gap = std::exchange(shown_, true) ? "\n" : "";
    return WriteOut(gap + table.ToString());
  }
  static Status AddMissing(const Status& before, const Status& more) {
    return before.ok() ? more : MakeError(absl::StatusCode::kNotFound, "{}\n{}", Message(before), Message(more));
  }
  void TellNothing() const {
    const std::string& ns = options_.ns.empty() ? options_.configured : options_.ns;
    Tell(fmt::format("no {} found{}", options_.kinds, ns.empty() ? "" : " in namespace " + ns));
  }

  Client client_;
  const GetOptions& options_;
  const OutputForm form_;
  const policy::Selector selector_;
  bool shown_ = false;
};

StatusOr<ExitCode> Get(const AgentAddress& server, const GetOptions& options) {
  SL_ASSIGN_OR_RETURN(const std::vector<Kind> kinds, ParseKinds(options.kinds));
  SL_ASSIGN_OR_RETURN(OutputForm form, OutputForm::Parse(options.output));
  for (const Kind& kind : kinds) SL_RETURN_IF_ERROR(CheckChoice(options, kind, form));
  SL_ASSIGN_OR_RETURN(policy::Selector selector, policy::ParseLabelSelector(options.selector));
  if (options.watch && (kinds.size() != 1 || form.kind() == OutputForm::Kind::kJsonPath)) {
    return InvalidError("get -w: one kind at a time, and not as jsonpath");
  }
  Getting getting(server, options, std::move(form), std::move(selector));
  return options.watch ? getting.Watch(kinds.front()) : getting.Once(kinds);
}

}  // namespace

void AddGet(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<GetOptions>();
  CLI::App* verb = app.add_subcommand("get", "list what the agent has");
  verb->add_option("kind", options->kinds,
                   "workloads, pods, namespaces, networkpolicies, clusternetworkpolicies, tracingpolicies, "
                   "tracingpoliciesnamespaced, kubearmorpolicies, kubearmorhostpolicies, kubearmorclusterpolicies, "
                   "responses, identities, rulesets, processes or flows; several by commas")
      ->required();
  verb->add_option("name", options->names,
                   "only objects with these names, also as namespace/name; for processes, the names of workloads");
  CLI::Option* ns = verb->add_option("-n,--namespace", options->ns, "only this namespace; default: all");
  verb->add_flag("-A,--all-namespaces", options->all_namespaces, "all namespaces, as without -n")->excludes(ns);
  verb->add_option("-l,--selector", options->selector,
                   "only resources with these labels: app=web,tier!=db,zone in (a,b),canary,!old");
  verb->add_option("--limit", options->limit, "only the newest N flows; default: all");
  verb->add_flag("-w,--watch", options->watch, "keep running, and print objects again when they change, until Ctrl-C");
  verb->add_option("-o,--output", options->output,
                   "table, wide, json (one object a line), yaml or name (resources only), "
                   "jsonpath='{.items[*].metadata.name}' or custom-columns=NAME:.metadata.name,...; JSONPath may have "
                   ".name, ['name'], [N], [*] and text: {\"\\n\"}. A single named object is the root, else the "
                   "objects are in .items")
      ->check([](const std::string& text) { return Message(OutputForm::Parse(text).status()); })
      ->capture_default_str();
  verb->callback([&line, options] {
    line.run = [&line, options] {
      if (!options->all_namespaces) options->configured = line.ns;
      return Get(line.server, *options);
    };
  });
}

}  // namespace sluice::client
