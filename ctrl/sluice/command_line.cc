#include "ctrl/sluice/command_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/printable.h"

namespace sluice::client {
namespace {

std::vector<std::string> Verbs(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    names.push_back(verb->get_name());
    names.insert(names.end(), verb->get_aliases().begin(), verb->get_aliases().end());
  }
  return names;
}

// The first word that is no option and no option's value.
std::string FirstWord(const CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (!word.starts_with('-')) return word;
    const CLI::Option* option = word.find('=') == std::string::npos ? app.get_option_no_throw(word) : nullptr;
    if (option != nullptr && option->get_expected_min() > 0) ++i;
  }
  return "";
}

}  // namespace

void FillCommandLine(CLI::App& app, CommandLine& line) {
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 the answer is \"denied\", 4 something is closed or not in place "
      "(status). Verbs that run until Ctrl-C end with 0.\n"
      "`sluice help VERB` says more. SLUICE_SERVER, SLUICE_RELAY and SLUICE_TLS_CERT, _KEY, _CA and _NAME set the same "
      "options.\n"
      "Namespaces: give one by -n or as namespace/name. Without one, `get` looks in all namespaces, and every other "
      "verb uses \"default\".\n"
      "~/.config/sluice/config and /etc/sluice/client.conf may set server, relay, output, namespace and the TLS files: "
      "server = /run/sluice/sluice.sock. The command line takes precedence, then the environment, then these files.");
  app.add_option("--server", line.server.address,
                 "the agent's address: unix:///PATH, the path of a unix socket, or IP:PORT with the TLS files")
      ->envname("SLUICE_SERVER")
      ->capture_default_str();
  app.add_flag("--cluster", line.cluster,
               "ask sluice-relay for all nodes, instead of an agent for its own: observe, status and get");
  app.add_option("--relay", line.relay, "with --cluster: the relay's address, given as --server")
      ->envname("SLUICE_RELAY")
      ->capture_default_str();
  app.add_option("--tls-cert", line.server.tls.certificate, "TCP: PEM file of your certificate")
      ->envname("SLUICE_TLS_CERT");
  app.add_option("--tls-key", line.server.tls.key, "TCP: PEM file of its key")->envname("SLUICE_TLS_KEY");
  app.add_option("--tls-ca", line.server.tls.ca, "TCP: PEM file of the CAs of the agent's certificate")
      ->envname("SLUICE_TLS_CA");
  app.add_option("--tls-name", line.server.tls_name,
                 "TCP: name in the agent's certificate; default: the address's host")
      ->envname("SLUICE_TLS_NAME");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION, "show the version of this client, and exit");
  app.require_subcommand(1);
  app.fallthrough();
  for (const auto add :
       {AddApply,   AddCapture, AddCheck,     AddDelete,     AddDescribe,   AddDiff,   AddEdit,   AddGet,
        AddExplain, AddSuggest, AddObserve,   AddQuarantine, AddStatus,     AddRecord, AddReplay, AddRules,
        AddSysdump, AddTop,     AddUninstall, AddVersion,    AddCompletion, AddHelp}) {
    add(app, line);
  }
  app.parse_complete_callback([&line] {
    if (line.cluster) line.server.address = line.relay;
    line.server.is_relay = line.cluster;
    if (line.server.address.starts_with('/')) line.server.address.insert(0, "unix://");
  });
}

std::string WrongVerb(const CLI::App& app, int argc, const char* const* argv) {
  const std::vector<std::string> verbs = Verbs(app);
  const std::string word = FirstWord(app, argc, argv);
  if (word.empty() || std::find(verbs.begin(), verbs.end(), word) != verbs.end()) return "";
  const std::string nearest = Nearest(verbs, word);
  return fmt::format("{}: there is no such verb; {}", Printable(word),
                     nearest.empty() ? "`sluice help` lists them" : "did you mean " + nearest + "?");
}

}  // namespace sluice::client
