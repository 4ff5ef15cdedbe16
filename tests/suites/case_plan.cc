#include "tests/suites/case_plan.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <initializer_list>
#include <set>

namespace sluice::test {
namespace {

constexpr char kContainerKey[] = "container";

Status CheckKeys(const std::string& where, const SuiteJson& map, std::initializer_list<const char*> known) {
  if (!map.is_object()) return InvalidError("{}: expected a map", where);
  const std::set<std::string> keys(known.begin(), known.end());
  for (const auto& [key, value] : map.items()) {
    if (!keys.contains(key)) return InvalidError("{}.{}: not known to this runner", where, key);
  }
  return OkStatus();
}

// Empty: it is absent or null.
StatusOr<std::string> TextIn(const std::string& where, const SuiteJson& map, const char* key) {
  if (!map.contains(key) || map[key].is_null()) return std::string();
  if (!map[key].is_string()) return InvalidError("{}.{}: expected a text", where, key);
  return map[key].get<std::string>();
}

const std::map<std::string, long>& Names() {
  static const std::map<std::string, long> kNames = {
      {"O_RDONLY", O_RDONLY},   {"O_WRONLY", O_WRONLY},       {"O_RDWR", O_RDWR},         {"O_CREAT", O_CREAT},
      {"O_EXCL", O_EXCL},       {"O_TRUNC", O_TRUNC},         {"O_APPEND", O_APPEND},     {"O_DIRECTORY", O_DIRECTORY},
      {"O_CLOEXEC", O_CLOEXEC}, {"AF_INET", AF_INET},         {"AF_INET6", AF_INET6},     {"AF_UNIX", AF_UNIX},
      {"AF_PACKET", AF_PACKET}, {"SOCK_STREAM", SOCK_STREAM}, {"SOCK_DGRAM", SOCK_DGRAM}, {"SOCK_RAW", SOCK_RAW},
  };
  return kNames;
}

// "O_WRONLY|O_CREAT", "0644", "9".
StatusOr<long> NumberOf(const std::string& where, const std::string& text) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 0);
  if (!text.empty() && *end == '\0') return number;
  long all = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t bar = std::min(text.find('|', at), text.size());
    const auto named = Names().find(text.substr(at, bar - at));
    if (named == Names().end())
      return InvalidError("{}: {} is not known to this runner", where, text.substr(at, bar - at));
    all |= named->second;
    at = bar + 1;
  }
  return all;
}

// A number, or "${ NAME.client.fd }" as suite_process knows it: "client" or "server".
StatusOr<std::string> DescriptorOf(const std::string& where, const std::string& text) {
  if (!text.starts_with("${")) {
    SL_ASSIGN_OR_RETURN(const long number, NumberOf(where, text));
    return std::to_string(number);
  }
  for (const char* end : {"client", "server"}) {
    if (text.find(fmt::format(".{}.fd", end)) != std::string::npos) return std::string(end);
  }
  return InvalidError("{}: binding {} is not known to this runner", where, text);
}

// How an argument of a call is written down, in the order in which suite_process takes them.
struct ArgumentForm {
  const char* name;
  enum class Kind { kText, kNumber, kDescriptor } kind;
  const char* absent;  // null: it must be there
};

using Kind = ArgumentForm::Kind;

const std::map<std::string, std::vector<ArgumentForm>>& Calls() {
  static const std::vector<ArgumentForm> kOpen = {
      {"pathname", Kind::kText, nullptr}, {"flags", Kind::kNumber, nullptr}, {"mode", Kind::kNumber, "0"}};
  static const std::vector<ArgumentForm> kSymlink = {{"target", Kind::kText, nullptr},
                                                     {"linkPath", Kind::kText, nullptr}};
  static const std::map<std::string, std::vector<ArgumentForm>> kCalls = {
      {"open", kOpen},
      {"openat", kOpen},
      {"openat2", kOpen},
      {"symlink", kSymlink},
      {"symlinkat", kSymlink},
      {"dup2", {{"oldFd", Kind::kDescriptor, nullptr}, {"newFd", Kind::kDescriptor, nullptr}}},
      {"dup3",
       {{"oldFd", Kind::kDescriptor, nullptr}, {"newFd", Kind::kDescriptor, nullptr}, {"flags", Kind::kNumber, "0"}}},
      {"socket",
       {{"domain", Kind::kNumber, nullptr}, {"type", Kind::kNumber, nullptr}, {"protocol", Kind::kNumber, "0"}}},
  };
  return kCalls;
}

// openat2 has its flags and its mode in `how`.
StatusOr<SuiteJson> ArgumentsOf(const std::string& where, const SuiteJson& step) {
  SuiteJson arguments = step.contains("args") ? step["args"] : SuiteJson::object();
  if (!arguments.is_object()) return InvalidError("{}.args: expected a map", where);
  if (!arguments.contains("how")) return arguments;
  const SuiteJson how = arguments["how"];
  arguments.erase("how");
  SL_RETURN_IF_ERROR(CheckKeys(where + ".args.how", how, {"flags", "mode"}));
  arguments.update(how);
  return arguments;
}

StatusOr<std::string> StepLine(const std::string& where, const SuiteJson& step) {
  SL_RETURN_IF_ERROR(CheckKeys(where, step, {"type", "name", "syscall", "args"}));
  SL_ASSIGN_OR_RETURN(const std::string type, TextIn(where, step, "type"));
  if (type != "syscall") return InvalidError("{}.type: {} is not known to this runner", where, type);
  SL_ASSIGN_OR_RETURN(const std::string call, TextIn(where, step, "syscall"));
  const auto form = Calls().find(call);
  if (form == Calls().end()) return InvalidError("{}.syscall: {} is not known to this runner", where, call);
  SL_ASSIGN_OR_RETURN(SuiteJson arguments, ArgumentsOf(where, step));
  std::vector<std::string> parts = {call};
  for (const ArgumentForm& argument : form->second) {
    const std::string at = fmt::format("{}.args.{}", where, argument.name);
    SL_ASSIGN_OR_RETURN(std::string text, TextIn(where + ".args", arguments, argument.name));
    if (text.empty() && argument.absent == nullptr) return InvalidError("{}: missing", at);
    if (text.empty()) text = argument.absent;
    arguments.erase(argument.name);
    if (argument.kind == Kind::kNumber) {
      SL_ASSIGN_OR_RETURN(const long number, NumberOf(at, text));
      text = std::to_string(number);
    } else if (argument.kind == Kind::kDescriptor) {
      SL_ASSIGN_OR_RETURN(text, DescriptorOf(at, text));
    }
    parts.push_back(std::move(text));
  }
  SL_RETURN_IF_ERROR(CheckKeys(where + ".args", arguments, {}));
  return PlanLine(parts);
}

// "203.0.113.10:80", "[::1]:9999".
StatusOr<std::pair<std::string, std::string>> SplitAddress(const std::string& where, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return InvalidError("{}: expected ADDRESS:PORT, not {}", where, text);
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::pair(host, text.substr(colon + 1));
}

Status AddFd(const std::string& where, const SuiteJson& resource, CasePlan* plan) {
  SL_RETURN_IF_ERROR(CheckKeys(where, resource, {"type", "name", "subtype", "filePath", "dirPath"}));
  SL_ASSIGN_OR_RETURN(const std::string subtype, TextIn(where, resource, "subtype"));
  const bool is_file = subtype == "file";
  if (!is_file && subtype != "directory")
    return InvalidError("{}.subtype: {} is not known to this runner", where, subtype);
  SL_ASSIGN_OR_RETURN(const std::string path, TextIn(where, resource, is_file ? "filePath" : "dirPath"));
  if (!path.starts_with('/')) return InvalidError("{}: expected an absolute path, not {}", where, path);
  (is_file ? plan->files : plan->directories).push_back(path);
  return OkStatus();
}

Status AddClientServer(const std::string& where, const SuiteJson& resource, std::string* lines) {
  SL_RETURN_IF_ERROR(CheckKeys(where, resource, {"type", "name", "l4Proto", "address"}));
  SL_ASSIGN_OR_RETURN(const std::string protocol, TextIn(where, resource, "l4Proto"));
  if (protocol != "tcp4" && protocol != "tcp6")
    return InvalidError("{}.l4Proto: {} is not known to this runner", where, protocol);
  SL_ASSIGN_OR_RETURN(const std::string address, TextIn(where, resource, "address"));
  SL_ASSIGN_OR_RETURN(const auto ends, SplitAddress(where + ".address", address));
  SL_ASSIGN_OR_RETURN(const std::string line, PlanLine({"connection", protocol, ends.first, ends.second}));
  *lines += line;
  return OkStatus();
}

Status AddResource(const std::string& where, const SuiteJson& resource, CasePlan* plan, std::string* lines) {
  SL_ASSIGN_OR_RETURN(const std::string type, TextIn(where, resource, "type"));
  if (type == "fd") return AddFd(where, resource, plan);
  if (type == "clientServer") return AddClientServer(where, resource, lines);
  if (type != "process") return InvalidError("{}.type: {} is not known to this runner", where, type);
  SL_RETURN_IF_ERROR(CheckKeys(where, resource, {"type", "name", "fileLess"}));
  SL_ASSIGN_OR_RETURN(const std::string name, TextIn(where, resource, "name"));
  SL_ASSIGN_OR_RETURN(const std::string in_memory, TextIn(where, resource, "fileLess"));
  if (in_memory != "true") return InvalidError("{}: a process with a file is not known to this runner", where);
  SL_ASSIGN_OR_RETURN(const std::string line, PlanLine({"from_memory", name}));
  *lines += line;
  return OkStatus();
}

Status AddProcess(const std::string& where, const SuiteJson& process, const PlanOptions& options, CasePlan* plan) {
  SL_RETURN_IF_ERROR(CheckKeys(where, process, {"name", "exe", "args", "user"}));
  SL_ASSIGN_OR_RETURN(const std::string name, TextIn(where, process, "name"));
  SL_ASSIGN_OR_RETURN(const std::string exe, TextIn(where, process, "exe"));
  SL_ASSIGN_OR_RETURN(const std::string arguments, TextIn(where, process, "args"));
  SL_ASSIGN_OR_RETURN(const std::string user, TextIn(where, process, "user"));
  if (name.empty() || name.find('/') != std::string::npos) return InvalidError("{}.name: {} is no name", where, name);
  std::string uid = "-", gid = "-";
  if (!user.empty() && user != "root") {
    const auto known = options.users.find(user);
    if (known == options.users.end()) return InvalidError("{}.user: this machine has no user {}", where, user);
    uid = std::to_string(known->second.first);
    gid = std::to_string(known->second.second);
  }
  PlannedProcess planned{.link = "", .program = options.program, .copied = uid != "-"};
  const std::string own = fmt::format("{}/{}", options.directory, plan->processes.size());
  planned.link = fmt::format("{}/{}", own, name);
  if (planned.copied) planned.program = own + "/program";
  std::vector<std::string> parts = {"run", planned.link, uid, gid, exe.empty() ? name : exe};
  for (std::string& argument : SplitArguments(arguments)) parts.push_back(std::move(argument));
  SL_ASSIGN_OR_RETURN(const std::string line, PlanLine(parts));
  plan->lines += line;
  plan->processes.push_back(std::move(planned));
  return OkStatus();
}

Status AddContext(const SuiteJson& context, const PlanOptions& options, CasePlan* plan) {
  if (context.is_null()) return OkStatus();
  SL_RETURN_IF_ERROR(CheckKeys("context", context, {kContainerKey, "processes"}));
  if (context.contains(kContainerKey) && !context[kContainerKey].is_null()) {
    SL_RETURN_IF_ERROR(CheckKeys("context.container", context[kContainerKey], {}));
    plan->in_container = true;
  }
  if (!context.contains("processes")) return OkStatus();
  for (const SuiteJson& process : context["processes"])
    SL_RETURN_IF_ERROR(AddProcess("context.processes", process, options, plan));
  return OkStatus();
}

}  // namespace

StatusOr<std::string> PlanLine(const std::vector<std::string>& parts) {
  std::string line;
  for (const std::string& part : parts) {
    if (part.find_first_of("\t\n") != std::string::npos)
      return InvalidError("\"{}\" has a tab or a line feed, which this runner cannot pass on", part);
    line += (line.empty() ? "" : "\t") + part;
  }
  return line + "\n";
}

std::vector<std::string> SplitArguments(const std::string& text) {
  std::vector<std::string> arguments;
  std::size_t at = 0;
  while ((at = text.find_first_not_of(" \t", at)) != std::string::npos) {
    const char quote = text[at];
    const bool is_quoted = quote == '"' || quote == '\'';
    const std::size_t begin = is_quoted ? at + 1 : at;
    const std::size_t end =
        std::min(is_quoted ? text.find(quote, begin) : text.find_first_of(" \t", begin), text.size());
    arguments.push_back(text.substr(begin, end - begin));
    at = std::min(end + 1, text.size());
  }
  return arguments;
}

StatusOr<CasePlan> PlanOf(const SuiteCase& one, const PlanOptions& options) {
  const SuiteJson& description = one.description;
  SL_RETURN_IF_ERROR(CheckKeys(one.name, description,
                               {"name", "rule", "description", "runIf", "runner", "before", "context", "resources",
                                "steps", "expectedOutcome"}));
  SL_ASSIGN_OR_RETURN(const std::string runner, TextIn(one.name, description, "runner"));
  if (runner != "HostRunner") return InvalidError("runner: {} is not known to this runner", runner);
  CasePlan plan;
  SL_ASSIGN_OR_RETURN(plan.before, TextIn(one.name, description, "before"));
  SL_RETURN_IF_ERROR(AddContext(description.value("context", SuiteJson()), options, &plan));
  std::string lines;
  for (const SuiteJson& resource : description.value("resources", SuiteJson::array()))
    SL_RETURN_IF_ERROR(AddResource("resources", resource, &plan, &lines));
  for (const SuiteJson& step : description.value("steps", SuiteJson::array())) {
    SL_ASSIGN_OR_RETURN(const std::string line, StepLine("steps", step));
    lines += line;
  }
  plan.lines += lines;
  return plan;
}

StatusOr<Expectation> ExpectationOf(const SuiteCase& one) {
  Expectation expected;
  SL_ASSIGN_OR_RETURN(expected.rule, TextIn(one.name, one.description, "rule"));
  if (expected.rule.empty()) return InvalidError("{}.rule: missing", one.name);
  const SuiteJson outcome = one.description.value("expectedOutcome", SuiteJson::object());
  SL_RETURN_IF_ERROR(CheckKeys("expectedOutcome", outcome, {"source", "hostname", "priority", "outputFields"}));
  const auto read = [&](const char* key, std::optional<std::string>& to) -> Status {
    SL_ASSIGN_OR_RETURN(std::string text, TextIn("expectedOutcome", outcome, key));
    if (!text.empty()) to = std::move(text);
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(read("source", expected.source));
  SL_RETURN_IF_ERROR(read("hostname", expected.hostname));
  SL_RETURN_IF_ERROR(read("priority", expected.priority));
  const SuiteJson fields = outcome.value("outputFields", SuiteJson::object());
  for (const auto& [field, value] : fields.items()) {
    if (!value.is_string()) return InvalidError("expectedOutcome.outputFields.{}: expected a text", field);
    expected.fields[field] = value.get<std::string>();
  }
  return expected;
}

StatusOr<bool> IsForThisMachine(const SuiteCase& one) {
  const SuiteJson condition = one.description.value("runIf", SuiteJson());
  if (condition.is_null()) return true;
  SL_RETURN_IF_ERROR(CheckKeys("runIf", condition, {"arch"}));
  const SuiteJson arch = condition.value("arch", SuiteJson::object());
  SL_RETURN_IF_ERROR(CheckKeys("runIf.arch", arch, {"op", "val"}));
  SL_ASSIGN_OR_RETURN(const std::string op, TextIn("runIf.arch", arch, "op"));
  SL_ASSIGN_OR_RETURN(const std::string value, TextIn("runIf.arch", arch, "val"));
  if (op != "eq" && op != "ne") return InvalidError("runIf.arch.op: {} is not known to this runner", op);
  utsname machine{};
  uname(&machine);
  const std::string name = machine.machine;
  const std::string own = name == "x86_64" ? "amd64" : name == "aarch64" ? "arm64" : name;
  return (own == value) == (op == "eq");
}

}  // namespace sluice::test
