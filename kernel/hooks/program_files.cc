#include "kernel/hooks/program_files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "kernel/hooks/elf_file.h"

namespace sluice::hooks {
namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

StatusOr<std::uint64_t> ProgramFiles::OffsetOfSymbol(const std::string& path, const std::string& symbol) const {
  SL_ASSIGN_OR_RETURN(const ElfFile file, ElfFile::Open(path));
  return file.OffsetOfSymbol(symbol);
}

StatusOr<std::uint64_t> ProgramFiles::OffsetOfAddress(const std::string& path, std::uint64_t address) const {
  SL_ASSIGN_OR_RETURN(const ElfFile file, ElfFile::Open(path));
  return file.OffsetOfAddress(address);
}

StatusOr<std::vector<policy::tracing::StaticProbe>> ProgramFiles::ProbesOf(const std::string& path,
                                                                           const std::string& provider,
                                                                           const std::string& name) const {
  SL_ASSIGN_OR_RETURN(const ElfFile file, ElfFile::Open(path));
  return file.Probes(provider, name);
}

StatusOr<std::string> ProgramFiles::DigestOf(const std::string& path, const std::string& algorithm) const {
  if (algorithm == "build-id") {
    SL_ASSIGN_OR_RETURN(const ElfFile file, ElfFile::Open(path));
    return file.BuildId();
  }
  const EVP_MD* const type = EVP_get_digestbyname(algorithm.c_str());
  const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
  if (type == nullptr || context == nullptr || EVP_DigestInit_ex(context.get(), type, nullptr) != 1)
    return InvalidError("there is no digest {}", algorithm);
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "open {}", path);
  std::string part(std::size_t{1} << 16U, '\0');
  while (true) {
    const ssize_t length = read(file.get(), part.data(), part.size());
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return ErrnoError(errno, "read {}", path);
    if (length == 0) break;
    EVP_DigestUpdate(context.get(), part.data(), static_cast<std::size_t>(length));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), digest, &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

}  // namespace sluice::hooks
