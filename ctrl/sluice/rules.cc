// `rules`: checks Falco's rules files, and tries them on recorded events. Needs no agent and no rights.
#include <algorithm>

#include "base/output.h"
#include "base/printable.h"
#include "ctrl/resources/resource_directory.h"
#include "ctrl/sluice/resource_args.h"
#include "ctrl/sluice/rules_test_run.h"
#include "ctrl/sluice/verb.h"
#include "policy/rules/alert.h"
#include "policy/rules/check_report.h"
#include "policy/rules/event_record.h"
#include "policy/rules/loader.h"
#include "policy/rules/ruleset.h"

namespace sluice::client {
namespace {

using policy::rules::CheckedFile;

struct RulesOptions {
  std::string action;
  RulesTest test;
  bool json = false;
};

StatusOr<std::string> ReadOne(const std::string& path) {
  SL_ASSIGN_OR_RETURN(const auto files, ReadAll(ResourceArgs{.paths = {path}}));
  if (files.size() != 1) return InvalidError("{}: is a directory: name its files, in their order", path);
  return files.front().text;
}

// Loads the files in their order. As in Falco, a file that is wrong does not end it: the others are checked too.
std::vector<CheckedFile> LoadAll(const std::vector<std::string>& paths, policy::rules::Loader& loader) {
  std::vector<CheckedFile> checked;
  for (const std::string& path : paths) {
    const auto text = ReadOne(path);
    if (text.ok()) {
      checked.push_back({.result = loader.Load(path, *text), .text = *text});
      continue;
    }
    CheckedFile unread{.result = {.file = path, .errors = {}, .warnings = {}}, .text = ""};
    policy::rules::LoadMessages(unread.result, "")
        .Fail(policy::rules::LoadError::kFileRead, Message(text.status()),
              {.file = path, .locations = {{.type = "rules content", .name = "", .place = {}}}});
    checked.push_back(std::move(unread));
  }
  return checked;
}

void TellLines(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    Tell(std::string(line));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
}

bool AreRight(const std::vector<CheckedFile>& files) {
  return std::all_of(files.begin(), files.end(), [](const CheckedFile& file) { return file.result.ok(); });
}

StatusOr<ExitCode> CheckRules(const RulesOptions& options) {
  policy::rules::Loader loader;
  const std::vector<CheckedFile> files = LoadAll(options.test.files, loader);
  std::string text;
  for (const CheckedFile& file : files) {
    text += ReportText(file);
    if (!options.json && !file.result.warnings.empty()) TellLines(WarningsText(file));
  }
  SL_RETURN_IF_ERROR(WriteOut(options.json ? ReportJson(files) : text));
  return AreRight(files) ? ExitCode::kDone : ExitCode::kFailed;
}

Status Alert(const policy::rules::Ruleset& ruleset, policy::rules::Matcher& matcher, bool all, std::string_view line) {
  using policy::rules::MatchMode;
  SL_ASSIGN_OR_RETURN(const auto record, policy::rules::ParseEventRecord(line));
  const auto mode = all ? MatchMode::kAll : MatchMode::kFirst;
  for (const std::uint32_t rule : matcher.Match(record->event, mode)) {
    SL_RETURN_IF_ERROR(WriteOut(PrintableJson(AlertJson(MakeAlert(ruleset.rules()[rule], record->event))) + "\n"));
  }
  return OkStatus();
}

}  // namespace

StatusOr<ExitCode> TestRules(const RulesTest& test) {
  policy::rules::Loader loader;
  for (const CheckedFile& file : LoadAll(test.files, loader)) {
    if (!file.result.ok()) return InFiles(InvalidError("{}", file.result.errors.front().ToString()));
  }
  const auto ruleset = policy::rules::Ruleset::Compile(loader.rules());
  policy::rules::Matcher matcher(ruleset);
  SL_ASSIGN_OR_RETURN(const std::string events, InFiles(ReadOne(test.events)));
  std::string_view rest = events;
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Status status = Alert(*ruleset, matcher, test.all, line);
    if (absl::IsInvalidArgument(status)) {
      return InFiles(InvalidError("{}:{}: {}", test.events, number, Message(status)));
    }
    SL_RETURN_IF_ERROR(status);
  }
  return ExitCode::kDone;
}

void AddRules(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<RulesOptions>();
  CLI::App* verb = app.add_subcommand(
      "rules",
      "check Falco's rules files, or test them on recorded events: offline. Exit 0: the files are right, 1: not");
  verb->add_option("action", options->action, "check: find what is wrong; test: print alerts for recorded events")
      ->required()
      ->check(CLI::IsMember({"check", "test"}));
  verb->add_option("files", options->test.files, "rules files, in the order in which they build on each other")
      ->required();
  verb->add_flag("--json", options->json, "check: one object, as `falco --validate` with JSON output");
  verb->add_option("--events", options->test.events, "test: file of events, one JSON object a line");
  verb->add_flag("--all", options->test.all, "test: all rules that an event meets, not only the first");
  verb->callback([&line, options] {
    line.run = [options]() -> StatusOr<ExitCode> {
      if (options->action == "check") return CheckRules(*options);
      if (options->test.events.empty()) return InvalidError("rules test needs --events FILE");
      return TestRules(options->test);
    };
  });
}

}  // namespace sluice::client
