// sluice-cni: the CNI plugin, and with arguments what installs it. Wiring only.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "ctrl/cni/install_command.h"
#include "ctrl/cni/plugin.h"

namespace {

constexpr std::size_t kMaxConfig = std::size_t{16} << 20;

void WriteAllTo(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // there is no reader
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string ReadInput() {
  std::string text;
  char part[16384];
  while (text.size() <= kMaxConfig) {
    const ssize_t size = read(STDIN_FILENO, part, sizeof(part));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(part, static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return sluice::cni::RunInstallCommand(argc, argv);
  std::map<std::string, std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const char* const equals = std::strchr(*variable, '=');
    if (equals != nullptr && std::strncmp(*variable, "CNI_", 4) == 0) {
      environment.emplace(std::string(*variable, static_cast<std::size_t>(equals - *variable)), equals + 1);
    }
  }
  if (environment.count("CNI_COMMAND") == 0 && isatty(STDIN_FILENO) != 0) {
    WriteAllTo(STDERR_FILENO, "sluice-cni is a CNI plugin, which container runtimes start. See sluice-cni --help.\n");
    return 2;
  }
  const auto output = sluice::cni::RunPlugin(environment, ReadInput());
  WriteAllTo(STDERR_FILENO, output.err);
  WriteAllTo(STDOUT_FILENO, output.out);
  return output.exit_code;
}
