#include "kernel/hooks/elf_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::hooks {
namespace {

using policy::tracing::StaticProbe;

#if defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#else
constexpr std::uint16_t kMachine = EM_X86_64;
#endif

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28U;  // of one section
constexpr std::uint64_t kMostEntries = 65535;                  // of a table of headers
constexpr std::uint32_t kProbeNote = 3;                        // the type of a note of a static probe

// The text at `offset` up to its NUL, or up to the end.
std::string TextAt(const std::string& bytes, std::uint64_t offset) {
  if (offset >= bytes.size()) return "";
  const std::size_t end = bytes.find('\0', offset);
  return bytes.substr(offset, end == std::string::npos ? std::string::npos : end - offset);
}

template <typename T>
T At(const std::string& bytes, std::size_t offset) {
  T value{};
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof(value))
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

constexpr std::size_t RoundedUp(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

}  // namespace

StatusOr<ElfFile> ElfFile::Open(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open {}", path);
  ElfFile file(std::move(fd), path);
  SL_RETURN_IF_ERROR(file.ReadHeaders());
  return file;
}

StatusOr<std::string> ElfFile::Read(std::uint64_t offset, std::uint64_t size) const {
  if (size > kMostBytes || offset > kMostBytes << 16U)
    return InvalidError("{}: a part of {} bytes at {} is too large: the file is damaged", path_, size, offset);
  std::string bytes(size, '\0');
  for (std::uint64_t done = 0; done < size;) {
    const ssize_t length = pread(file_.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return ErrnoError(errno, "read {}", path_);
    if (length == 0) return InvalidError("{}: it ends before byte {}: the file is damaged", path_, offset + size);
    done += static_cast<std::uint64_t>(length);
  }
  return bytes;
}

template <typename T>
StatusOr<std::vector<T>> ElfFile::ReadTable(std::uint64_t offset, std::uint64_t count) const {
  if (count > kMostEntries) return InvalidError("{}: a table of {} headers: the file is damaged", path_, count);
  SL_ASSIGN_OR_RETURN(const std::string bytes, Read(offset, count * sizeof(T)));
  std::vector<T> table(count);
  std::memcpy(table.data(), bytes.data(), bytes.size());
  return table;
}

Status ElfFile::ReadHeaders() {
  const auto not_a_program = [&] { return InvalidError("{} is no program or library for this machine", path_); };
  const auto first = Read(0, sizeof(Elf64_Ehdr));
  if (absl::IsInvalidArgument(first.status())) return not_a_program();  // it is shorter
  SL_RETURN_IF_ERROR(first.status());
  const auto header = At<Elf64_Ehdr>(*first, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != kMachine ||
      header.e_phentsize != sizeof(Elf64_Phdr) || (header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr)))
    return not_a_program();
  SL_ASSIGN_OR_RETURN(segments_, ReadTable<Elf64_Phdr>(header.e_phoff, header.e_phnum));
  SL_ASSIGN_OR_RETURN(sections_, ReadTable<Elf64_Shdr>(header.e_shoff, header.e_shnum));
  if (header.e_shstrndx < sections_.size()) {
    SL_ASSIGN_OR_RETURN(section_names_, ReadSection(sections_[header.e_shstrndx]));
  }
  return OkStatus();
}

StatusOr<std::string> ElfFile::ReadSection(const Elf64_Shdr& section) const {
  if (section.sh_type == SHT_NOBITS) return std::string();
  return Read(section.sh_offset, section.sh_size);
}

const Elf64_Shdr* ElfFile::FindSection(const std::string& name) const {
  for (const Elf64_Shdr& section : sections_) {
    if (TextAt(section_names_, section.sh_name) == name) return &section;
  }
  return nullptr;
}

std::optional<std::uint64_t> ElfFile::FileOffset(std::uint64_t address, std::uint32_t flags) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_LOAD || (segment.p_flags & flags) != flags) continue;
    if (address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz)
      return address - segment.p_vaddr + segment.p_offset;
  }
  return std::nullopt;
}

StatusOr<std::optional<std::uint64_t>> ElfFile::AddressOf(const std::string& symbol, std::uint32_t table) const {
  for (const Elf64_Shdr& section : sections_) {
    if (section.sh_type != table || section.sh_link >= sections_.size()) continue;
    SL_ASSIGN_OR_RETURN(const std::string symbols, ReadSection(section));
    SL_ASSIGN_OR_RETURN(const std::string names, ReadSection(sections_[section.sh_link]));
    for (std::size_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
      const auto one = At<Elf64_Sym>(symbols, at);
      const unsigned type = ELF64_ST_TYPE(one.st_info);
      const bool has_code = type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC;
      if (!has_code || one.st_shndx == SHN_UNDEF || one.st_name >= names.size()) continue;
      if (std::strcmp(names.c_str() + one.st_name, symbol.c_str()) == 0) return std::optional(one.st_value);
    }
  }
  return std::optional<std::uint64_t>();
}

StatusOr<std::uint64_t> ElfFile::OffsetOfSymbol(const std::string& symbol) const {
  for (const std::uint32_t table : {SHT_SYMTAB, SHT_DYNSYM}) {
    SL_ASSIGN_OR_RETURN(const auto address, AddressOf(symbol, table));
    if (address) return OffsetOfAddress(*address);
  }
  return MakeError(absl::StatusCode::kNotFound, "{} has no function {}{}", path_, symbol,
                   FindSection(".symtab") == nullptr
                       ? ": its own names were taken out (strip), so that only those for other programs are left"
                       : "");
}

StatusOr<std::uint64_t> ElfFile::OffsetOfAddress(std::uint64_t address) const {
  const auto offset = FileOffset(address, PF_X);
  if (!offset) return MakeError(absl::StatusCode::kNotFound, "{} has no code at address {:#x}", path_, address);
  return *offset;
}

StatusOr<std::vector<ElfFile::Note>> ElfFile::Notes(const char* section) const {
  std::vector<Note> notes;
  const Elf64_Shdr* const found = FindSection(section);
  if (found == nullptr) return notes;
  SL_ASSIGN_OR_RETURN(const std::string bytes, ReadSection(*found));
  for (std::size_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes.size();) {
    const auto header = At<Elf64_Nhdr>(bytes, at);
    const std::size_t owner = at + sizeof(header), description = owner + RoundedUp(header.n_namesz);
    at = description + RoundedUp(header.n_descsz);
    if (description > bytes.size() || bytes.size() - description < header.n_descsz)
      return InvalidError("{}: a note in {} is cut off: the file is damaged", path_, section);
    notes.push_back({.type = header.n_type,
                     .owner = TextAt(bytes.substr(owner, header.n_namesz), 0),
                     .description = bytes.substr(description, header.n_descsz)});
  }
  return notes;
}

StatusOr<std::vector<StaticProbe>> ElfFile::Probes(const std::string& provider, const std::string& name) const {
  SL_ASSIGN_OR_RETURN(const auto notes, Notes(".note.stapsdt"));
  const Elf64_Shdr* const base = FindSection(".stapsdt.base");
  std::vector<StaticProbe> probes;
  for (const Note& note : notes) {
    // Addresses of the instruction, of .stapsdt.base when the note was written, and of the counter; then three texts.
    constexpr std::size_t kWord = sizeof(std::uint64_t), kTexts = 3 * kWord;
    const std::string& text = note.description;
    if (note.type != kProbeNote || note.owner != "stapsdt" || text.size() < kTexts) continue;
    const std::string of = TextAt(text, kTexts), called = TextAt(text, kTexts + of.size() + 1);
    if (of != provider || called != name) continue;
    // Tools that move a program's parts, as prelink, do not change its notes: the base says by how much.
    const std::uint64_t moved = base == nullptr ? 0 : base->sh_addr - At<std::uint64_t>(text, kWord);
    const auto counter = At<std::uint64_t>(text, 2 * kWord);
    StaticProbe probe{.arguments = TextAt(text, kTexts + of.size() + 1 + called.size() + 1)};
    SL_ASSIGN_OR_RETURN(probe.offset, OffsetOfAddress(At<std::uint64_t>(text, 0) + moved));
    if (counter != 0) {
      const auto offset = FileOffset(counter + moved, PF_W);
      if (!offset) return InvalidError("{}: the counter of {}:{} is not in the file", path_, provider, name);
      probe.counter = *offset;
    }
    probes.push_back(std::move(probe));
  }
  if (probes.empty())
    return MakeError(absl::StatusCode::kNotFound, "{} has no static probe {}:{}", path_, provider, name);
  return probes;
}

StatusOr<std::string> ElfFile::BuildId() const {
  SL_ASSIGN_OR_RETURN(const auto notes, Notes(".note.gnu.build-id"));
  for (const Note& note : notes) {
    if (note.type != NT_GNU_BUILD_ID || note.owner != "GNU") continue;
    std::string text;
    for (const char byte : note.description) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
  }
  return MakeError(absl::StatusCode::kNotFound, "{} has no build-id", path_);
}

}  // namespace sluice::hooks
