// `version` and `help`.
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/man_page.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

StatusOr<ExitCode> Version(const AgentAddress& server, bool client_only) {
  SL_RETURN_IF_ERROR(WriteOut("sluice " SLUICE_VERSION "\n"));
  if (client_only) return ExitCode::kDone;
  SL_ASSIGN_OR_RETURN(const v1::AgentStatus status, Client(server).ReadStatus());
  SL_RETURN_IF_ERROR(WriteOut(fmt::format("sluiced {}\n", Printable(status.version()))));
  return ExitCode::kDone;
}

StatusOr<ExitCode> Help(const CLI::App& app, const std::string& name, bool as_man_page) {
  if (as_man_page) {
    SL_RETURN_IF_ERROR(WriteOut(ManPage(app, "sluice", SLUICE_VERSION)));
    return ExitCode::kDone;
  }
  const auto verbs = app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; });
  if (verbs.empty() && !name.empty()) {
    return InvalidError("help {}: there is no such verb; `sluice help` lists them", name);
  }
  // app.help() would be that of the verb that was typed.
  const CLI::App* const about = name.empty() ? &app : verbs.front();
  const std::string called = name.empty() ? "sluice" : "sluice " + name;
  SL_RETURN_IF_ERROR(WriteOut(app.get_formatter()->make_help(about, called, CLI::AppFormatMode::Normal)));
  return ExitCode::kDone;
}

}  // namespace

void AddVersion(CLI::App& app, CommandLine& line) {
  const auto client_only = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("version", "show the versions of this client and of the agent");
  verb->add_flag("--client", *client_only, "only of this client");
  verb->callback(
      [&line, client_only] { line.run = [&line, client_only] { return Version(line.server, *client_only); }; });
}

void AddHelp(CLI::App& app, CommandLine& line) {
  const auto name = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("help", "this text, or a verb's: help VERB");
  verb->add_option("verb", *name, "one of the verbs");
  const auto man = std::make_shared<bool>(false);
  verb->add_flag("--man", *man, "as a manual page in roff; scripts/man makes them all")->group("");
  verb->callback([&app, &line, name, man] { line.run = [&app, name, man] { return Help(app, *name, *man); }; });
}

}  // namespace sluice::client
