// sluice: the command-line client of sluiced.
#include <csignal>
#include <iostream>

#include "ctrl/sluice/client_config.h"
#include "ctrl/sluice/command_line.h"

int main(int argc, char** argv) {
  using namespace sluice::client;  // NOLINT(google-build-using-namespace): main wires this namespace and no other
  std::signal(SIGPIPE, SIG_IGN);   // WriteOut reports it

  CommandLine line;
  CLI::App app{"sluice: client of sluiced, the agent that enforces network policy on this node"};
  FillCommandLine(app, line);
  if (const sluice::Status read = ReadClientConfig(app, line); !read.ok()) return Finish(read);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const std::string wrong = WrongVerb(app, argc, argv);
    if (error.get_exit_code() != 0 && !wrong.empty()) return Finish(sluice::InvalidError("{}", wrong));
    const int code = app.exit(error, std::cout, std::cerr);
    return static_cast<int>(code == 0 ? ExitCode::kDone : ExitCode::kUsage);
  }
  return Finish(line.run());
}
