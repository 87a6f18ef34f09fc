#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

int main() {
    std::thread([] { std::ofstream("file") << "moved"; }).join();
    std::filesystem::create_directory("directory");
    std::filesystem::rename("file", "directory/file");
    std::string word;
    std::ifstream("directory/file") >> word;
    try {
        throw word;
    } catch (const std::string &caught) {
        std::cout << caught << std::endl;
    }
}
