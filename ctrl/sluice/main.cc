// sluice: the command-line client of sluiced.
#include <csignal>
#include <iostream>

#include "ctrl/sluice/verb.h"

int main(int argc, char** argv) {
  using namespace sluice::client;  // NOLINT(google-build-using-namespace): main wires this namespace and no other
  std::signal(SIGPIPE, SIG_IGN);   // WriteOut reports it

  CommandLine line;
  CLI::App app{"sluice: asks and tells sluiced, the agent that enforces network policy on this node"};
  app.footer("Exit codes: 0 done, 1 failed, 2 usage, 3 the answer is \"denied\".\n`sluice VERB --help` says more.");
  app.add_option("--server", line.server.address, "the agent's address: unix:///PATH, or IP:PORT with the TLS files")
      ->capture_default_str();
  app.add_option("--tls-cert", line.server.tls.certificate, "by TCP: PEM file of your certificate");
  app.add_option("--tls-key", line.server.tls.key, "its key");
  app.add_option("--tls-ca", line.server.tls.ca, "CAs of the agent's certificate");
  app.add_option("--tls-name", line.server.tls_name, "name in the agent's certificate; default: the address's host");
  app.require_subcommand(1);
  app.fallthrough();
  for (const auto add : {AddApply, AddDelete, AddGet, AddExplain, AddObserve, AddQuarantine, AddStatus, AddReplay,
                         AddTop, AddUninstall}) {
    add(app, line);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return static_cast<int>(code == 0 ? ExitCode::kDone : ExitCode::kUsage);
  }
  return Finish(line.run());
}
