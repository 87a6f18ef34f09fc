/* An image: imported into a store, changed in a cell, and the changes made a second image. The root
 * is the smallest system there is, busybox and links to it. */
#define _POSIX_C_SOURCE 200809L
#include <seclude.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints the error of a call, if there is one. */
static int failed(int code, seclude_error *err)
{
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    return code < 0;
}

/* Runs a script in a cell, and prints what it writes. */
static int script(seclude_cell *cell, const char *text)
{
    const char *const words[] = {"-c", text, NULL};
    seclude_command *command = seclude_cell_command(cell, "sh");
    seclude_command_args(command, words);
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    int code = seclude_command_output(command, &output, &err);
    if (code >= 0)
        printf("%s", seclude_output_stdout(output, NULL));
    seclude_output_free(output);
    seclude_command_free(command);
    return failed(code, err);
}

/* Starts a cell of an image. */
static seclude_cell *start(const seclude_image *image)
{
    seclude_sandbox *sandbox = NULL;
    seclude_cell *cell = NULL;
    seclude_error *err = NULL;
    int code = seclude_image_sandbox(image, &sandbox, &err);
    if (code >= 0)
        code = seclude_sandbox_cell(sandbox, &cell, &err);
    seclude_sandbox_free(sandbox);
    return failed(code, err) ? NULL : cell;
}

int main(void)
{
    char place[] = "/tmp/seclude-image-XXXXXX", path[64], text[256];
    if (!mkdtemp(place))
        return perror("mkdtemp"), 1;
    snprintf(text, sizeof text,
             "cd %s && mkdir -p root/bin && cp /bin/busybox root/bin && echo as it was >root/motd && "
             "for name in sh cat rm; do ln -s busybox root/bin/$name; done",
             place);
    if (system(text) != 0)
        return 1;

    seclude_store *store = NULL;
    seclude_image *image = NULL, *second = NULL;
    seclude_changes *changes = NULL;
    seclude_error *err = NULL;
    snprintf(path, sizeof path, "%s/store", place);
    int code = seclude_store_open(path, &store, &err);
    snprintf(path, sizeof path, "%s/root", place);
    if (code >= 0)
        code = seclude_store_import(store, SECLUDE_IMAGE_DIRECTORY, path, NULL, "small", 0, 0, 0,
                                    &image, &err);
    if (failed(code, err))
        return 1;

    seclude_cell *cell = start(image);
    if (!cell || script(cell, "echo changed >/motd; rm /bin/rm"))
        return 1;
    err = NULL;
    code = seclude_cell_changes(cell, &changes, &err);
    for (size_t index = 0; index < seclude_changes_count(changes); index++)
        printf("%s %s\n", seclude_change_name(seclude_changes_kind(changes, index)),
               seclude_changes_path(changes, index)); /* deleted /bin/rm, changed /motd */
    if (code >= 0)
        code = seclude_cell_commit(cell, "second", &second, &err);
    seclude_changes_free(changes);
    seclude_cell_free(cell);
    if (failed(code, err))
        return 1;

    const seclude_image *images[] = {image, second};
    for (int index = 0; index < 2; index++) {
        cell = start(images[index]);
        code |= !cell || script(cell, "cat /motd"); /* as it was, changed */
        seclude_cell_free(cell);
    }
    seclude_image_free(second);
    seclude_image_free(image);
    seclude_store_free(store);
    snprintf(text, sizeof text, "rm -r %s", place);
    return code || system(text) != 0;
}
