// The verbs of the client. Each adds itself to the command line; after parsing, `run` does the one that was given.
//   AddApply(app, line); ... parse ...; return Finish(line.run());
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/status.h"
#include "ctrl/sluice/client.h"

namespace sluice::client {

enum class ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kDenied = 3, kNotInPlace = 4 };

struct CommandLine {
  AgentAddress server;  // of the relay with --cluster
  bool cluster = false;
  std::string relay = "unix:///run/sluice/relay.sock";
  std::string ns;  // of the configuration file: for names and documents without one, unless -n gives one
  std::function<StatusOr<ExitCode>()> run;
};

// `line` outlives the parsed command.
void AddApply(CLI::App& app, CommandLine& line);
void AddDelete(CLI::App& app, CommandLine& line);
void AddGet(CLI::App& app, CommandLine& line);
void AddDescribe(CLI::App& app, CommandLine& line);
void AddDiff(CLI::App& app, CommandLine& line);
void AddEdit(CLI::App& app, CommandLine& line);
void AddCheck(CLI::App& app, CommandLine& line);
void AddExplain(CLI::App& app, CommandLine& line);
void AddQuarantine(CLI::App& app, CommandLine& line);
void AddCapture(CLI::App& app, CommandLine& line);
void AddObserve(CLI::App& app, CommandLine& line);
void AddStatus(CLI::App& app, CommandLine& line);
void AddSuggest(CLI::App& app, CommandLine& line);
void AddReplay(CLI::App& app, CommandLine& line);
void AddRecord(CLI::App& app, CommandLine& line);
void AddRules(CLI::App& app, CommandLine& line);
void AddSysdump(CLI::App& app, CommandLine& line);
void AddUninstall(CLI::App& app, CommandLine& line);
void AddTop(CLI::App& app, CommandLine& line);
void AddVersion(CLI::App& app, CommandLine& line);
void AddCompletion(CLI::App& app, CommandLine& line);
void AddHelp(CLI::App& app, CommandLine& line);

// Returns the exit code, and prints an error to stderr. InvalidArgument is an error of usage: what was typed is wrong.
// Cancelled (the reader of the output has gone) is no error.
int Finish(const StatusOr<ExitCode>& result);

// From now on Ctrl-C ends the program at once, with success: every line is already flushed, and the agent notices.
void EndOnInterrupt();

// Prints a line for people to standard error, apart from the answer, which scripts read. Makes it printable.
void Tell(const std::string& line);

// Turns an error of usage into one about the contents of files.
Status InFiles(const Status& status);
template <typename T>
StatusOr<T> InFiles(StatusOr<T> result) {
  return result.ok() ? std::move(result) : InFiles(result.status());
}

}  // namespace sluice::client
