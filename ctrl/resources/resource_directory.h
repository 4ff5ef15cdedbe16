// Resource files on disk -> texts, and a directory of them -> resources. Keeps no state; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "policy/resource/gather.h"
#include "policy/resource/resource_map.h"
#include "policy/tracing/parser.h"

namespace sluice::resources {

struct ResourceFile {
  std::string path;
  std::string text;
};

enum class Depth { kThisDirectory, kRecursive };

// A file, or the *.yaml, *.yml and *.json files right in a directory or also in those below it, by name; hidden files
// and directories are left out, and links to directories are not followed. Errors name the path: it cannot be read, or
// is larger than policy::kMaxResourceBytes (no more than that is read).
StatusOr<std::vector<ResourceFile>> ReadResourceFiles(const std::string& path, Depth depth = Depth::kThisDirectory);

// Reads the rest of an open file; errors begin with `name`. `fd` stays open.
StatusOr<std::string> ReadResourceText(int fd, const std::string& name);

// For Gather; refers to `files`.
std::vector<policy::SourceText> TextsOf(const std::vector<ResourceFile>& files);

// All resources of a directory, or the first error. One id in two files is an error that names both.
StatusOr<policy::ResourceMap> ReadResourceDirectory(
    const std::string& directory, policy::tracing::Reading reading = policy::tracing::Reading::kParsed);

}  // namespace sluice::resources
