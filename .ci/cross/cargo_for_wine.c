/* cargo.exe for wine: calls this machine's cargo, for `cargo metadata`. Wine can start a native program but reports neither its end
 * nor its status, so a shell writes both to files. Paths are converted between Windows and Unix. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

typedef char *(CDECL *to_unix_type)(const WCHAR *);
typedef WCHAR *(CDECL *to_dos_type)(const char *);
static to_unix_type to_unix;
static to_dos_type to_dos;

static void fail(const char *why) {
    fprintf(stderr, "cargo for wine: %s\n", why);
    exit(101);
}

/* Writes a quoted shell word. */
static void quoted(FILE *script, const char *text) {
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", script);
        else
            fputc(*text, script);
    }
    fputs("' ", script);
}

static void word(FILE *script, const WCHAR *text) {
    char utf8[8192], path[16384];
    WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, sizeof utf8, NULL, NULL);
    if (!text[0] || text[1] != ':' || (text[2] != '\\' && text[2] != '/'))
        return quoted(script, utf8);
    /* For a path that does not exist, wine converts only the drive. */
    WCHAR drive[] = {text[0], ':', '\\', 0};
    snprintf(path, sizeof path, "%s/%s", to_unix(drive), utf8 + 3);
    for (char *it = path; *it; it++) {
        if (*it == '\\')
            *it = '/';
    }
    quoted(script, path);
}

static char *contents(const WCHAR *path) {
    FILE *file = _wfopen(path, L"rb");
    if (!file)
        fail("no output");
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char *text = calloc(length + 1, 1);
    fread(text, 1, length, file);
    fclose(file);
    return text;
}

/* Prints a text whose paths are between `mark`s. In JSON, a backslash is doubled. */
static void print(char *text, char mark, const char *backslash, FILE *out) {
    for (char *at = text; *at;) {
        char *end = at[0] == mark && at[1] == '/' ? strchr(at + 1, mark) : NULL;
        fputc(*at++, out);
        if (!end)
            continue;
        *end = 0;
        WCHAR *dos = to_dos(at);
        char utf8[8192];
        WideCharToMultiByte(CP_UTF8, 0, dos, -1, utf8, sizeof utf8, NULL, NULL);
        for (char *it = utf8; *it; it++) {
            if (*it == '\\')
                fputs(backslash, out);
            else
                fputc(*it, out);
        }
        fputc(mark, out);
        at = end + 1;
    }
}

int wmain(int count, WCHAR **arguments) {
    HMODULE kernel = GetModuleHandleW(L"kernel32");
    to_unix = (to_unix_type)GetProcAddress(kernel, "wine_get_unix_file_name");
    to_dos = (to_dos_type)GetProcAddress(kernel, "wine_get_dos_file_name");
    if (!to_unix || !to_dos)
        fail("this is no wine");
    WCHAR base[MAX_PATH], script[MAX_PATH], out[MAX_PATH], err[MAX_PATH], status[MAX_PATH], here[MAX_PATH];
    if (!GetTempPathW(MAX_PATH - 40, base))
        fail("no directory for temporary files");
    swprintf(script, MAX_PATH, L"%lscargo-%lu.sh", base, GetCurrentProcessId());
    swprintf(out, MAX_PATH, L"%ls.out", script);
    swprintf(err, MAX_PATH, L"%ls.err", script);
    swprintf(status, MAX_PATH, L"%ls.status", script);
    GetCurrentDirectoryW(MAX_PATH, here);
    DeleteFileW(status);

    FILE *file = _wfopen(script, L"wb");
    if (!file)
        fail("the script could not be written");
    fputs("cd ", file);
    word(file, here);
    WCHAR home[MAX_PATH];
    if (GetEnvironmentVariableW(L"CARGO_HOME", home, MAX_PATH)) {
        fputs("\nexport CARGO_HOME=", file);
        word(file, home);
    }
    fputs("\ncargo ", file);
    for (int i = 1; i < count; i++)
        word(file, arguments[i]);
    fputs("</dev/null >", file);
    word(file, out);
    fputs("2>", file);
    word(file, err);
    fputs("\necho $? >\"$0.noted\"\nmv \"$0.noted\" ", file);
    word(file, status);
    fputs("\n", file);
    fclose(file);

    WCHAR line[2 * MAX_PATH], path[MAX_PATH];
    MultiByteToWideChar(CP_UTF8, 0, to_unix(script), -1, path, MAX_PATH);
    swprintf(line, 2 * MAX_PATH, L"sh %ls", path);
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION process;
    if (!CreateProcessW(to_dos("/bin/sh"), line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &process))
        fail("the shell could not be started");
    for (int waited = 0; GetFileAttributesW(status) == INVALID_FILE_ATTRIBUTES; waited++) {
        if (waited > 12000)
            fail("no end after a minute");
        Sleep(5);
    }
    print(contents(out), '"', "\\\\", stdout);
    print(contents(err), '`', "\\", stderr);
    int code = atoi(contents(status));
    DeleteFileW(script);
    DeleteFileW(out);
    DeleteFileW(err);
    DeleteFileW(status);
    return code;
}
