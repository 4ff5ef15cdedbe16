// A program or library for this machine: symbols, addresses and notes. Reads the file, and trusts nothing in it.
#pragma once

#include <elf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "policy/tracing/program_files.h"

namespace sluice::hooks {

class ElfFile {
 public:
  // NotFound: there is no such file. InvalidArgument: it is no program of 64 bits for this machine, or is damaged.
  static StatusOr<ElfFile> Open(const std::string& path);

  // In the file. NotFound: no such function, or no code at the address.
  StatusOr<std::uint64_t> OffsetOfSymbol(const std::string& symbol) const;
  StatusOr<std::uint64_t> OffsetOfAddress(std::uint64_t address) const;
  // NotFound: no such probe.
  StatusOr<std::vector<policy::tracing::StaticProbe>> Probes(const std::string& provider,
                                                             const std::string& name) const;
  // The note of the linker, as HEX in lower case. NotFound: it has none.
  StatusOr<std::string> BuildId() const;

 private:
  struct Note {
    std::uint32_t type = 0;
    std::string owner;
    std::string description;
  };

  ElfFile(Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Status ReadHeaders();
  StatusOr<std::string> Read(std::uint64_t offset, std::uint64_t size) const;
  StatusOr<std::string> ReadSection(const Elf64_Shdr& section) const;
  StatusOr<std::vector<Note>> Notes(const char* section) const;
  StatusOr<std::optional<std::uint64_t>> AddressOf(const std::string& symbol, std::uint32_t table) const;
  // The file's offset of an address in a loaded part with these flags (PF_X).
  std::optional<std::uint64_t> FileOffset(std::uint64_t address, std::uint32_t flags) const;
  const Elf64_Shdr* FindSection(const std::string& name) const;
  template <typename T>
  StatusOr<std::vector<T>> ReadTable(std::uint64_t offset, std::uint64_t count) const;

  Fd file_;
  std::string path_;
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Shdr> sections_;
  std::string section_names_;
};

}  // namespace sluice::hooks
